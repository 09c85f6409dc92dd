// SPDX-License-Identifier: Apache-2.0
/* hfconfig: bytes as config.json; what passes must pass the checks again and give finite
 * frequencies. */
#include "model/file/hfdir.h"
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    bt_hf_arch config;
    float inv_freq[2048];
    if (bt_hf_arch_parse((const char *)data, len, &config) != BT_OK) return 0;
    if (bt_hparams_check(&config.hp) != BT_OK) abort();
    bt_rope_inv_freq(&config.hp.rope, NULL, inv_freq);
    for (int i = 0; i < config.hp.rope.d_rot / 2; i++)
        if (!isfinite(inv_freq[i]) || inv_freq[i] < 0) abort();
    for (int i = 0; i < config.hp.n_layer; i++)
        if (bt_hparams_window(&config.hp, i) < 0) abort();
    return 0;
}
