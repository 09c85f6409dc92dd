// SPDX-License-Identifier: Apache-2.0
/* qwen2: Qwen2 and Qwen2.5 (Yang et al. 2024): the llama block with biases on q, k and v, which
 * ride in the fused projection. */
#include "model/decoder.h"

bt_status bt_qwen2_build(bt_decoder *d)
{
    BT_TRY(bt_decoder_begin(d));
    for (int32_t layer = 0; layer < d->hp->n_layer; layer++) {
        BT_TRY(bt_decoder_attention(d, layer));
        BT_TRY(bt_decoder_swiglu(d, layer));
    }
    return bt_decoder_end(d);
}
