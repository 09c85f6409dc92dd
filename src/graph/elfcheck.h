// SPDX-License-Identifier: Apache-2.0
/* elfcheck: is a file a whole shared object of this machine? The loader itself dies of one that is
 * cut short (it maps pages past the end and reads them), so somebody has to look first. */
#pragma once
#include "base/status.h"

/* IO says what the file is instead. Looks at the header and at where the segments end; what is in
 * the segments is code, and is trusted as code. */
BT_CHECKED bt_status bt_elf_check(const uint8_t *bytes, size_t len);
