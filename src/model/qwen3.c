// SPDX-License-Identifier: Apache-2.0
/* qwen3: Qwen3, dense (Yang et al. 2025): the llama block with an RMSNorm on every head of q and k
 * before the rotation, done by rope_kv. */
#include "model/decoder.h"

bt_status bt_qwen3_build(bt_decoder *d)
{
    BT_TRY(bt_decoder_begin(d));
    for (int32_t layer = 0; layer < d->hp->n_layer; layer++) {
        BT_TRY(bt_decoder_attention(d, layer));
        BT_TRY(bt_decoder_swiglu(d, layer));
    }
    return bt_decoder_end(d);
}
