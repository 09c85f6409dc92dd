// SPDX-License-Identifier: Apache-2.0
/* baton/engine.h: for people who want tokens.
 *
 * Think of an engine as a machine that runs many requests at once over one model. You submit
 * requests (from any thread), somebody calls bt_engine_step in a loop (one thread), and each
 * request hands out its events in order (from any thread, one at a time per request). A step runs
 * one batch: pieces of waiting prompts and one token of each running request, together.
 *
 *   bt_engine_open -> { bt_engine_submit ... bt_engine_step ... bt_request_next ... } ->
 * bt_engine_close
 *
 * Promises. The same request gets the same tokens and logprobs, bit for bit, whatever runs beside
 * it, however its prompt is cut into pieces, on any number of threads. A step allocates nothing. A
 * request that fails, is cancelled or is never read disturbs no other. Two engines in one process
 * are independent.
 */
#ifndef BATON_ENGINE_H
#define BATON_ENGINE_H

#include "baton/base.h"
#include "baton/model.h"
#include "baton/tensor.h"
#include "baton/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_engine bt_engine;
typedef struct bt_request bt_request;

/* Zero means the default everywhere; bt_engine_config c = {.model = path} is complete. */
typedef struct bt_engine_config {
    const char *model;     /* GGUF file, Hugging Face directory, or "synth:SHAPE:TYPE" */
    const char *cpu_level; /* cap: "ref", "avx2", "avx512", ...; NULL: $BATON_CPU, else the best */
    int32_t n_thread;      /* worker threads, 1..256; default: one a processor */
    bool pin_threads;      /* keep each worker on a processor of its own; default: where the system
                            * likes. For machines that do nothing else */
    int32_t n_ctx;         /* tokens a request may hold, prompt + output, 1..the model's;
                            * default: the model's, at most 8192 */
    int32_t n_seq_max;     /* requests running at once, 1..1024; default 16 */
    int32_t n_queue_max;   /* requests beyond those, default 256; then submit answers BUSY. One that
                            * has ended counts until it is freed */
    int32_t n_tok_step_max; /* tokens in one step, n_seq_max..65536; default 512 */
    int32_t n_chunk;        /* prompt tokens of one request in one step, default 256 */
    int32_t page_len;       /* tokens a KV page: 16, 32 or 64; default 32 */
    int64_t n_kv_token; /* tokens in the KV pool, all requests; default: what n_seq_max requests of
                         * n_ctx need, capped at half of the free memory, at least one of n_ctx */
    bt_dtype kv_dtype;  /* BT_F32 (0, the default), F16, BF16; Q8_0, Q4_0 if heads are 32 n wide */
    uint32_t dispatch_off;   /* BT_NO_... of dispatch.h: do without caches, for measuring */
    int32_t n_host_thread;   /* threads that dispatch, 1..3; see dispatch.h; default 1 */
    struct bt_trace *trace;  /* record steps from the start; see trace.h; NULL (default): do not */
    bt_progress_fn progress; /* called while loading; may be NULL */
    void *progress_ctx;
    const char *const
        *op_libs;           /* [n_op_lib] files of operator libraries (op.h); open as long as the
                                 * engine. An operator of one that has a built-in one's name takes
                                 * its place in the model's graph; later files win over earlier */
    int32_t n_op_lib;       /* 0 (default): the built-in operators alone */
    const char *pack_cache; /* folder that keeps packed weights, so that the next engine of a model
                             * maps them; made (its owner's alone) if it is not there. It is trusted
                             * as the model is. What is not of this model and this build is packed
                             * anew and replaced; a cache that cannot be read or written is no
                             * failure. NULL (default): none */
} bt_engine_config;

/* Open the model, pack or map its weights, plan and allocate everything a step needs.
 * Errors  NOTFOUND, IO, FORMAT, UNSUPPORTED: the model.  NOMEM: the message says what it would
 * take.  Those of bt_op_library_open; INVALID: an operator's inputs or parameters are not those of
 * the built-in one whose place it takes. */
BT_API BT_CHECKED bt_status bt_engine_open(const bt_engine_config *config, bt_engine **ret_engine);

/* Close; requests that are still alive end as CANCELLED and are freed with it. NULL is nothing. */
BT_API void bt_engine_close(bt_engine *engine);

BT_API const bt_tokenizer *bt_engine_tokenizer(const bt_engine *engine);
BT_API const bt_model_file *bt_engine_model(const bt_engine *engine);

/* What an engine has done and holds; plain numbers. */
typedef struct bt_engine_stats {
    double load_s;               /* seconds bt_engine_open took */
    int64_t weight_bytes;        /* packed weights in memory */
    int64_t weight_mapped_bytes; /* those of them that were mapped from pack_cache: all or 0 */
    int64_t weight_read_bytes;   /* weight bytes one decode step reads */
    int64_t kv_bytes, workspace_bytes; /* allocated at open */
    int32_t n_ctx, n_thread, page_len, n_page;
    const char *cpu_level;
    int32_t n_running, n_waiting, n_page_free;
    uint64_t n_step, n_prompt_token, n_output_token, n_preempted;
    /* of dispatching steps; see bt_exec_counters */
    uint64_t plans_built, setups_run, setups_skipped, replays;
    int32_t n_launch_max; /* kernels one step launches at most */
    double host_s;        /* spent on getting steps under way */
} bt_engine_stats;
/* Record the steps from now on; NULL stops. Not while a step runs. */
BT_API void bt_engine_set_trace(bt_engine *engine, struct bt_trace *trace);

BT_API void bt_engine_get_stats(const bt_engine *engine, bt_engine_stats *ret_stats);

/* ---- a request ---- */

typedef struct bt_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY forbids the token */
} bt_logit_bias;

/* Called on the stepping thread with the raw logits of prompt position `pos` (those after its
 * token); `logits` is read-only and valid during the call. Must not call into the engine. */
typedef void (*bt_logits_fn)(void *ctx, int32_t pos, const float *logits, int32_t n_vocab);

/* Fill one with bt_request_defaults, then change what you want. The struct and all it points to may
 * go once bt_engine_submit has returned. */
typedef struct bt_request_params {
    const int32_t *ids; /* the prompt, [n_id], every id in the vocabulary */
    int32_t n_id;       /* 1 <= n_id <= n_ctx */
    int32_t
        max_tokens; /* tokens to generate at most; 0 only reads the prompt; -1 (default): n_ctx */
    int32_t min_tokens; /* no end of generation before so many; until then end and stop tokens are
                         * forbidden and stop texts are text; default 0 */
    bool ignore_eos;    /* end-of-generation tokens do not end it (they are forbidden instead) */

    /* sampling, applied in this order: bias, penalties, temperature, top-k, typical, top-p, min-p.
     * Each filter judges what those before it left, and leaves one at least; equal logits rank by
     * lower id. NaN counts as -inf; when every token is at -inf the request ends with
     * BT_FINISH_ERROR. */
    const bt_logit_bias *logit_bias;
    int32_t n_logit_bias;
    float repetition_penalty; /* (0, 1e6]; 1 (default) is off. Divides positive, multiplies negative
                               * logits of seen tokens */
    float presence_penalty, frequency_penalty; /* -2..2 over generated tokens; 0 is off */
    int32_t penalty_last_n; /* tokens the repetition penalty looks back; -1 (default): all */
    float temperature;      /* [0, 1e6]; 0 (default) is greedy */
    int32_t top_k;          /* 0 (default): all */
    float typical_p;        /* (0, 1]; 1 (default) is off */
    float top_p;            /* (0, 1]; 1 (default) is off */
    float min_p;            /* [0, 1]; 0 (default) is off */
    uint64_t seed;          /* same seed and prompt, same text */

    const char *const
        *stop;      /* texts that end generation once one is complete; not part of the output */
    int32_t n_stop; /* <= 16, each UTF-8 of 1..256 bytes */
    const int32_t *stop_ids; /* tokens that end generation; not part of the output */
    int32_t n_stop_id;       /* <= 64 */

    bool logprobs; /* give the log probability of each generated token (of the raw logits) */
    int32_t n_top_logprobs; /* with logprobs: also of the n likeliest, 0..BT_TOP_LOGPROBS_MAX */

    bt_logits_fn logits_fn; /* see bt_logits_fn; NULL (default) */
    void *logits_ctx;
    bool logits_all;   /* for every prompt position, not only the last */
    bool special_text; /* special tokens appear in the text; default: they do not */
    int32_t priority;  /* larger runs first; default 0 */
} bt_request_params;

enum { BT_TOP_LOGPROBS_MAX = 20 };

BT_API void bt_request_defaults(bt_request_params *ret_params);

/* Queue a request.
 * Errors  INVALID: a value out of range, named.  LIMIT: the prompt alone exceeds n_ctx.  BUSY: the
 * queue is full.  NOMEM.  After an error there is no request. */
BT_API BT_CHECKED bt_status bt_engine_submit(bt_engine *engine, const bt_request_params *params,
                                             bt_request **ret_request);

/* Run one step. *ret_n_alive (may be NULL) is how many requests are waiting or running afterwards;
 * 0 means there is nothing to do. While all of them wait for their readers a step does nothing.
 * Fails only when the device does: then every running request ends with BT_FINISH_ERROR and the
 * engine stays usable. One thread at a time; it takes part in the work, for which 1 MiB of stack is
 * enough. */
BT_API BT_CHECKED bt_status bt_engine_step(bt_engine *engine, int32_t *ret_n_alive);

/* X(NAME, the OpenAI finish_reason or our word) */
#define BT_FINISH_LIST(X)                                                                          \
    X(NONE, "")                                                                                    \
    X(STOP, "stop")     /* end-of-generation token, stop text or stop token */                     \
    X(LENGTH, "length") /* max_tokens or n_ctx reached */                                          \
    X(CANCELLED, "cancelled")                                                                      \
    X(ERROR, "error")

typedef enum bt_finish {
#define BT_FINISH_ENUM(upper, text) BT_FINISH_##upper,
    BT_FINISH_LIST(BT_FINISH_ENUM)
#undef BT_FINISH_ENUM
} bt_finish;

BT_API const char *bt_finish_name(bt_finish finish);

typedef struct bt_token_logprob {
    int32_t id;
    float logprob; /* natural log */
} bt_token_logprob;

/* One event: a generated token, or (id -1) the end. The token that completes a stop text is an
 * event; an end-of-generation or stop token is not. Text may lag behind tokens: bytes that may yet
 * become part of a code point or of a stop text are held back and come with a later event. */
typedef struct bt_event {
    int32_t id;       /* the token, or -1 for the closing event */
    int32_t index;    /* 0 for the first generated token; n_output in the closing event */
    const char *text; /* UTF-8, whole code points; valid until the next call for this request */
    size_t text_len;
    float logprob; /* when asked for; else 0 */
    int32_t n_top;
    bt_token_logprob top[BT_TOP_LOGPROBS_MAX]; /* likeliest first */
    bt_finish finish;                          /* not NONE in the closing event only */
    int32_t n_prompt, n_output;                /* tokens so far */
    int64_t time_ns;                           /* monotonic clock when the token was sampled */
} bt_event;

/* Take the next event. BUSY: none yet, step on. NOTFOUND: the closing event was already taken.
 * Events wait in a bounded ring; a request whose ring is full pauses (others do not) until read. */
BT_API BT_CHECKED bt_status bt_request_next(bt_request *request, bt_event *ret_event);

/* Ask a request to end soon; its closing event says CANCELLED unless it ended before. Any thread.
 */
BT_API void bt_request_cancel(bt_request *request);

/* Give the request back (cancels it when it is still running). NULL is nothing. Any thread. */
BT_API void bt_request_free(bt_request *request);

#ifdef __cplusplus
}
#endif
#endif
