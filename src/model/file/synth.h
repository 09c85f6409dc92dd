// SPDX-License-Identifier: Apache-2.0
/* synth: models with random weights in real shapes, for measuring and testing without a download.
 *
 * Weights are a pure function of (shape, type, tensor, position): the same bytes every time,
 * whatever the number of threads. They come with a byte-level tokenizer, so that text goes in and
 * something comes out. bt_model_synth (baton/model.h) writes the same image to a file.
 */
#pragma once
#include "model/file/modelfile.h"

/* The hyperparameters of a shape. NOTFOUND as below. */
BT_CHECKED bt_status bt_model_shape_hparams(const char *shape, bt_hparams *ret_hparams);

/* Build the image in memory and open it. NOTFOUND for an unknown shape lists the known ones. */
BT_CHECKED bt_status bt_model_file_synth(const char *shape, bt_dtype dtype,
                                         bt_model_file **ret_file);

/* The same from "SHAPE" or "SHAPE:TYPE" (q8_0 where none is given). */
BT_CHECKED bt_status bt_model_file_synth_named(const char *text, bt_model_use use,
                                               bt_model_file **ret_file);
