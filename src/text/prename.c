// SPDX-License-Identifier: Apache-2.0
/* prename: the patterns behind the names that GGUF files give to pre-tokenizers (the key
 * tokenizer.ggml.pre). Each is what the family's own tokenizer.json says, not an approximation.
 * A name that is not here is refused: a wrong pattern gives wrong ids without a sign of it. */
#include "text/pretok.h"
#include <string.h>

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS     "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SIGNS       " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SIGNS_SLASH " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define SPACES      "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER       "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER       "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(end)                                                                                 \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" end "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER     \
    "*" end

/* What deepseek-llm counts as letters, range by range (cased scripts of an older Unicode). */
#define CASED_LETTERS                                                                              \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"                 \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}"         \
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}"                  \
    "\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}"                       \
    "\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}"                 \
    "\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}"                 \
    "\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}"        \
    "\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}"         \
    "\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}"                 \
    "\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}"                  \
    "\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}"                   \
    "\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}"        \
    "\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}"         \
    "\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}"                  \
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}"                 \
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}"               \
    "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}"         \
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"

static const char *const plain[] = {"[\\p{P}\\$\\+<=>\\^~\\|]+", BT_PATTERN_GPT2, "\\p{N}+",
                                    "[0-9][0-9][0-9]", NULL};
static const char *const gpt2[] = {BT_PATTERN_GPT2, NULL};
static const char *const llama3[] = {CONTRACTION "|" LETTERS "|\\p{N}{1,3}|" SIGNS "|" SPACES,
                                     NULL};
static const char *const qwen2[] = {CONTRACTION "|" LETTERS "|\\p{N}|" SIGNS "|" SPACES, NULL};
static const char *const qwen35[] = {
    CONTRACTION
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES,
    NULL};
static const char *const starcoder[] = {"\\p{N}", BT_PATTERN_GPT2, NULL};
static const char *const falcon[] = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", BT_PATTERN_GPT2,
                                     "[0-9][0-9][0-9]", NULL};
static const char *const deepseek_llm[] = {
    "[\\r\\n]", "\\s?[" CASED_LETTERS "]+",
    "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
    "(?<!\\s)\\s+$", // the file says \s+$: the same matches, without trying every place of a long
                     // run
    "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+", "\\p{N}", NULL};
static const char *const deepseek_coder[] = {
    "[\\r\\n]",    "\\s?\\p{L}+",
    "\\s?\\p{P}+", "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+",
    "\\p{N}",      NULL};
static const char *const deepseek_v3[] = {
    "\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
    "[!\"#$%&'()*+,\\-./"
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES,
    NULL};
static const char *const gpt4o[] = {CASED(CONTRACTION "?") "|\\p{N}{1,3}|" SIGNS_SLASH "|" SPACES,
                                    NULL};
static const char *const tekken[] = {CASED("") "|\\p{N}|" SIGNS_SLASH "|" SPACES, NULL};

static const bt_prename names[] = {
    {"default", plain, false, false, false},
    {"gpt-2", gpt2, false, false, false},
    {"gpt2", gpt2, false, false, false},
    {"phi-2", gpt2, false, false, false},
    {"mpt", gpt2, false, false, false},
    {"olmo", gpt2, false, false, false},
    {"jais", gpt2, false, false, false},
    {"roberta-bpe", gpt2, false, false, false},
    {"llama-bpe", llama3, true, true, false},
    {"llama3", llama3, true, true, false},
    {"llama-v3", llama3, true, true, false},
    {"falcon3", llama3, true, true, false},
    {"pixtral", llama3, true, true, false},
    {"dbrx", llama3, false, false, false},
    {"smaug-bpe", llama3, false, false, false},
    {"cl100k", llama3, false, false, false},
    {"chatglm-bpe", llama3, false, false, false},
    {"glm4", llama3, false, false, false},
    {"qwen2", qwen2, false, false, true},
    {"qwen35", qwen35, false, false, true},
    {"deepseek-r1-qwen", qwen2, false, false, true},
    {"stablelm2", qwen2, false, false, false},
    {"hunyuan", qwen2, false, false, false},
    {"megrez", qwen2, false, false, false},
    {"starcoder", starcoder, false, false, false},
    {"refact", starcoder, false, false, false},
    {"command-r", starcoder, false, true, false},
    {"smollm", starcoder, false, false, false},
    {"codeshell", starcoder, false, false, false},
    {"exaone", starcoder, false, false, false},
    {"falcon", falcon, false, false, false},
    {"deepseek-llm", deepseek_llm, false, true, false},
    {"deepseek-coder", deepseek_coder, false, true, false},
    {"deepseek-v3", deepseek_v3, false, true, false},
    {"deepseek-r1", deepseek_v3, false, true, false},
    {"gpt-4o", gpt4o, false, false, false},
    {"o200k", gpt4o, false, false, false},
    {"llama4", gpt4o, false, true, false},
    {"tekken", tekken, true, true, false},
};

const bt_prename *bt_prename_at(size_t i)
{
    return i < sizeof names / sizeof *names ? &names[i] : NULL;
}

const bt_prename *bt_prename_find(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, name)) return &names[i];
    return NULL;
}
