// SPDX-License-Identifier: Apache-2.0
/* template_iter: walking values one item at a time, as Python's iterators do: an iterator that a
 * filter made is spent once it has been walked, and does its work only as far as it is pulled. */
#include "text/template/template_text.h"
#include <string.h>

bool bt_tval_iterable(const tval *v)
{
    return v->kind == K_UNDEF || (v->kind >= K_STR && v->kind <= K_ITER) || v->kind == K_LOOP;
}

bt_status bt_titer_open(trun *r, const tval *v, titer **ret_iter)
{
    if (v->kind == K_UNDEF && v->sub == UNDEF_UNSAFE) return bt_tval_fail_undef(v);
    if (v->kind == K_ITER) {
        *ret_iter = v->iter;
        return BT_OK;
    }
    if (!bt_tval_iterable(v) || v->kind == K_LOOP)
        return bt_fail(BT_INVALID, "'%s' object is not iterable", bt_tval_type(v));
    titer *it;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *it, (void **)&it));
    it->source = *v;
    const tval *dict = v->kind == K_VIEW ? v->of : v;
    if (dict->kind == K_DICT && dict->json) it->json_at = json_object_iter(dict->js);
    *ret_iter = it;
    return BT_OK;
}

static bt_status make_pair(trun *r, const tval *key, const tval *value, tval *ret_pair)
{
    BT_TRY(bt_tseq_new(r, K_TUPLE, 2, ret_pair));
    ret_pair->seq->items[0] = *key;
    ret_pair->seq->items[1] = *value;
    ret_pair->data = key->data;
    return BT_OK;
}

static bt_status next_entry(trun *r, titer *it, const tval *dict, int what, tval *ret_item)
{
    tval key, value;
    if (dict->json) {
        key = (tval){.kind = K_STR,
                     .data = dict->data,
                     .bytes = json_object_iter_key(it->json_at),
                     .len = json_object_iter_key_len(it->json_at)};
        value = bt_tval_json(json_object_iter_value(it->json_at), dict->data);
        it->json_at = json_object_iter_next(dict->js, it->json_at);
    } else {
        key = dict->dict->pairs[2 * it->at];
        value = dict->dict->pairs[2 * it->at + 1];
    }
    it->at++;
    if (what == VIEW_ITEMS) return make_pair(r, &key, &value, ret_item);
    *ret_item = what == VIEW_KEYS ? key : value;
    return BT_OK;
}

bt_status bt_titer_next(trun *r, titer *it, tval *ret_item, bool *ret_more)
{
    const tval *v = &it->source;
    BT_TRY(bt_trun_step(r, 1));
    if (it->pull) return it->pull(r, it, ret_item, ret_more);
    *ret_more = true;
    switch (v->kind) {
    case K_STR: {
        size_t n = 0;
        if (it->at >= v->len) break;
        bt_tcode_at(v->bytes + it->at, v->len - it->at, &n);
        *ret_item = bt_tstr_sub(v, it->at, n);
        it->at += n;
        return BT_OK;
    }
    case K_LIST:
    case K_TUPLE:
        if (it->at >= bt_tseq_len(v)) break;
        *ret_item = bt_tseq_at(v, it->at++);
        return BT_OK;
    case K_DICT:
        if (v->json ? !it->json_at : it->at >= v->dict->n) break;
        return next_entry(r, it, v, VIEW_KEYS, ret_item);
    case K_VIEW:
        if (v->of->json ? !it->json_at : it->at >= v->of->dict->n) break;
        return next_entry(r, it, v->of, v->sub, ret_item);
    case K_RANGE:
        if (it->at >= (size_t)v->range->n) break;
        *ret_item = bt_tval_int(v->range->start + (int64_t)it->at++ * v->range->step);
        ret_item->data = v->data;
        return BT_OK;
    default:
        break; // undefined: nothing
    }
    *ret_more = false;
    return BT_OK;
}

bt_status bt_titer_collect(trun *r, titer *it, tkind kind, tval *ret_seq)
{
    size_t n = 0, size = 8;
    if (!it->pull && (it->source.kind == K_LIST || it->source.kind == K_TUPLE))
        size = bt_tseq_len(&it->source) - it->at;
    tval *items, item, seq;
    bool more;
    BT_TRY(bt_trun_alloc(r, size, sizeof *items, (void **)&items));
    for (;;) {
        BT_TRY(bt_titer_next(r, it, &item, &more));
        if (!more) break;
        if (n == size) {
            tval *grown;
            BT_TRY(bt_trun_alloc(r, size * 2 + 1, sizeof *items, (void **)&grown));
            if (n) memcpy(grown, items, n * sizeof *items);
            items = grown;
            size = size * 2 + 1;
        }
        items[n++] = item;
    }
    BT_TRY(bt_tseq_new(r, kind, 0, &seq));
    seq.seq->items = items;
    seq.seq->n = n;
    seq.data = it->source.data;
    *ret_seq = seq;
    return BT_OK;
}

bt_status bt_tval_list(trun *r, const tval *v, tval *ret_list)
{
    titer *it;
    BT_TRY(bt_titer_open(r, v, &it));
    return bt_titer_collect(r, it, K_LIST, ret_list);
}

bt_status bt_titer_value(trun *r, const tval *list, tval *ret_value)
{
    titer *it;
    BT_TRY(bt_titer_open(r, list, &it));
    *ret_value = (tval){.kind = K_ITER, .iter = it};
    return BT_OK;
}
