// SPDX-License-Identifier: Apache-2.0
/* elfcheck: the ELF header and the program headers, as much of them as says how long a file has to
 * be (System V ABI, chapters 4 and 5). */
#include "graph/elfcheck.h"
#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
enum { THIS_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { THIS_MACHINE = EM_AARCH64 };
#endif

static bt_status check_header(const uint8_t *bytes, size_t len, Elf64_Ehdr *ret_head)
{
    BT_FAIL_IF(len == 0, IO, "the file is empty");
    BT_FAIL_IF(len < SELFMAG || memcmp(bytes, ELFMAG, SELFMAG) != 0, IO,
               "the file is not a shared object");
    BT_FAIL_IF(len < sizeof *ret_head, IO, "the file is cut short: it ends after %zu bytes", len);
    memcpy(ret_head, bytes, sizeof *ret_head);
    BT_FAIL_IF(ret_head->e_ident[EI_CLASS] != ELFCLASS64 ||
                   ret_head->e_ident[EI_DATA] != ELFDATA2LSB || ret_head->e_machine != THIS_MACHINE,
               IO, "the file is for another machine: ELF machine %u of class %u, must be %d of %d",
               ret_head->e_machine, ret_head->e_ident[EI_CLASS], THIS_MACHINE, ELFCLASS64);
    BT_FAIL_IF(ret_head->e_type != ET_DYN, IO,
               "the file is not a shared object: ELF type %u, must be %d", ret_head->e_type,
               ET_DYN);
    BT_FAIL_IF(ret_head->e_phentsize != sizeof(Elf64_Phdr) || ret_head->e_phnum == 0, IO,
               "the file is not a shared object: %u program headers of %u bytes, must be some of "
               "%zu",
               ret_head->e_phnum, ret_head->e_phentsize, sizeof(Elf64_Phdr));
    return BT_OK;
}

/* Whether [offset, offset + n) lies in a file of `len` bytes. */
static bool lies_in(uint64_t offset, uint64_t n, size_t len)
{
    return offset <= len && n <= len - offset;
}

bt_status bt_elf_check(const uint8_t *bytes, size_t len)
{
    Elf64_Ehdr head;
    BT_TRY(check_header(bytes, len, &head));
    BT_FAIL_IF(!lies_in(head.e_phoff, (uint64_t)head.e_phnum * sizeof(Elf64_Phdr), len), IO,
               "the file is cut short: its %zu bytes do not hold its %u program headers", len,
               head.e_phnum);
    for (uint32_t i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr part;
        memcpy(&part, bytes + head.e_phoff + i * sizeof part, sizeof part);
        BT_FAIL_IF(!lies_in(part.p_offset, part.p_filesz, len), IO,
                   "the file is cut short: %zu bytes, but segment %u has %llu at %llu", len, i,
                   (unsigned long long)part.p_filesz, (unsigned long long)part.p_offset);
    }
    return BT_OK;
}
