// SPDX-License-Identifier: Apache-2.0
/* quantize: which type a tensor gets in a written model. bt_model_quantize is in baton/model.h. */
#pragma once
#include "baton/tensor.h"

/* The type a tensor of this shape is stored in when the matrices are to be `dtype`: 1-D tensors
 * f32; matrices whose rows are no multiple of the block q8_0, and where that does not fit either,
 * f16. */
bt_dtype bt_stored_dtype(bt_dtype dtype, const bt_desc *desc);
