// SPDX-License-Identifier: Apache-2.0
/* golden: the models of test/golden/models and what transformers says of them (make_models.py). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct golden {
    const char *name;
    int32_t n_id, n_vocab, n_greedy;
    int32_t *ids;    // [n_id] the prompt
    double *logits;  // [n_id, n_vocab] after each token of it
    int32_t *greedy; // [n_greedy] what follows greedily
    double gap;      // smallest lead of a greedy token
} golden;

extern const char *const golden_names[]; // NULL ends the list

/* False where GGUF cannot say what the model is: layers with and without a window. */
bool golden_has_gguf(const char *name);

/* The model's directory; in test_path's ring. */
const char *golden_dir(const char *name);

/* Read a model's vectors; the test fails where that cannot be done. */
void golden_open(golden *g, const char *name);
void golden_close(golden *g);
