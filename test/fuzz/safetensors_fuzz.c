// SPDX-License-Identifier: Apache-2.0
/* safetensors: bytes as a whole file; every tensor's data is touched at both ends. */
#include "model/file/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    bt_arena arena;
    bt_safetensors s;
    unsigned sum = 0;
    bt_arena_init(&arena, BT_MEM_MODEL);
    if (bt_safetensors_parse(data, len, &arena, &s) == BT_OK)
        for (size_t i = 0; i < s.n; i++) {
            const volatile uint8_t *bytes = s.tensor[i].data;
            sum += bytes[0] + bytes[s.tensor[i].n_bytes - 1];
        }
    (void)sum;
    bt_arena_done(&arena);
    return 0;
}
