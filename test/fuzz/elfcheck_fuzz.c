// SPDX-License-Identifier: Apache-2.0
/* elfcheck: bytes as a shared object, looked at before the loader is let near them. */
#include "graph/elfcheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    bt_status st = bt_elf_check(data, len);
    (void)st;
    return 0;
}
