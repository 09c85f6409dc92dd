// SPDX-License-Identifier: Apache-2.0
/* texts: what a model's perplexity is measured on. */
#pragma once
#include "baton/engine.h"

/* Texts, all of one length. */
typedef struct texts {
    int32_t *ids; // [n_text, n], heap
    int32_t n_text, n;
} texts;

/* What the model itself tells, drawn at temperature 1 with seeds 0, 1, ... */
texts texts_told(const char *model, int32_t n_text, int32_t n);

/* The beginning of a file, in the model's tokens; each text begins as the tokenizer wants it to. */
texts texts_read(const char *model, const char *path, int32_t n_text, int32_t n);

void texts_done(texts *t);

/* Mean negative log likelihood of a token given those before it: of one text, and of all. */
double mean_nll(bt_engine *e, const int32_t *ids, int32_t n);
double texts_nll(const bt_engine_config *config, const texts *t);
