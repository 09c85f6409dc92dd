// SPDX-License-Identifier: Apache-2.0
/* llama: Llama 1/2/3 and Mistral (Touvron et al. 2023; Jiang et al. 2023): pre-norm blocks, GQA,
 * RoPE, SwiGLU. Mistral's sliding window and Llama 3's stretched RoPE are in the hyperparameters.
 */
#include "model/decoder.h"

bt_status bt_llama_build(bt_decoder *d)
{
    BT_TRY(bt_decoder_begin(d));
    for (int32_t layer = 0; layer < d->hp->n_layer; layer++) {
        BT_TRY(bt_decoder_attention(d, layer));
        BT_TRY(bt_decoder_swiglu(d, layer));
    }
    return bt_decoder_end(d);
}
