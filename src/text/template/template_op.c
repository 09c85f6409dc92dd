// SPDX-License-Identifier: Apache-2.0
/* template_op: the operators, with Python's rules for each pair of types. Integers have 64 bits;
 * what does not fit is refused, never wrapped. */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <math.h>
#include <string.h>

static const char *const op_names[] = {
    [OP_ADD] = "+",       [OP_SUB] = "-", [OP_MUL] = "*",  [OP_DIV] = "/",
    [OP_FLOORDIV] = "//", [OP_MOD] = "%", [OP_POW] = "**", [OP_LT] = "<",
    [OP_LE] = "<=",       [OP_GT] = ">",  [OP_GE] = ">="};

static bt_status overflow(top op)
{
    return bt_fail(BT_UNSUPPORTED, "the result of %s does not fit into 64 bits", op_names[op]);
}

static bt_status power_int(int64_t base, int64_t exp, tval *ret)
{
    if (exp < 0) {
        BT_FAIL_IF(base == 0, INVALID, "0.0 cannot be raised to a negative power");
        *ret = bt_tval_float(pow((double)base, (double)exp));
        return BT_OK;
    }
    int64_t result = 1;
    bool over = false;
    for (; exp && !over; exp >>= 1) {
        if (exp & 1) over = __builtin_mul_overflow(result, base, &result);
        if (exp > 1) over |= __builtin_mul_overflow(base, base, &base);
    }
    if (over) return overflow(OP_POW);
    *ret = bt_tval_int(result);
    return BT_OK;
}

static bt_status binary_int(top op, int64_t a, int64_t b, tval *ret)
{
    int64_t c = 0;
    bool over = false;
    if (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) {
        BT_FAIL_IF(b == 0, INVALID, "%s",
                   op == OP_DIV ? "division by zero" : "integer division or modulo by zero");
        if (a == INT64_MIN && b == -1 && op != OP_DIV) return overflow(op);
    }
    switch (op) {
    case OP_ADD:
        over = __builtin_add_overflow(a, b, &c);
        break;
    case OP_SUB:
        over = __builtin_sub_overflow(a, b, &c);
        break;
    case OP_MUL:
        over = __builtin_mul_overflow(a, b, &c);
        break;
    case OP_DIV:
        *ret = bt_tval_float((double)((long double)a / (long double)b));
        return BT_OK;
    case OP_FLOORDIV:
        c = a / b - (a % b != 0 && (a < 0) != (b < 0));
        break;
    case OP_MOD:
        c = a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
        break;
    default:
        return power_int(a, b, ret);
    }
    if (over) return overflow(op);
    *ret = bt_tval_int(c);
    return BT_OK;
}

static bt_status power_float(double a, double b, tval *ret)
{
    BT_FAIL_IF(a == 0 && b < 0, INVALID, "0.0 cannot be raised to a negative power");
    BT_FAIL_IF(a < 0 && isfinite(a) && isfinite(b) && b != floor(b), UNSUPPORTED,
               "a root of a negative number is not supported");
    double c = pow(a, b);
    BT_FAIL_IF(isinf(c) && isfinite(a) && isfinite(b), INVALID, "the result of ** is too large");
    *ret = bt_tval_float(c);
    return BT_OK;
}

static bt_status binary_float(top op, double a, double b, tval *ret)
{
    if (op == OP_POW) return power_float(a, b, ret);
    BT_FAIL_IF(b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD), INVALID, "%s",
               op == OP_DIV ? "float division by zero" : "float floor division or modulo by zero");
    double mod = op == OP_FLOORDIV || op == OP_MOD ? fmod(a, b) : 0, c = 0;
    double div = (a - mod) / b; // CPython's float_divmod
    if (mod != 0 && (b < 0) != (mod < 0)) {
        mod += b;
        div -= 1.0;
    } else if (mod == 0) {
        mod = copysign(0.0, b);
    }
    switch (op) {
    case OP_ADD:
        c = a + b;
        break;
    case OP_SUB:
        c = a - b;
        break;
    case OP_MUL:
        c = a * b;
        break;
    case OP_DIV:
        c = a / b;
        break;
    case OP_MOD:
        c = mod;
        break;
    default:
        c = div != 0 ? floor(div) : copysign(0.0, a / b);
        if (div != 0 && div - c > 0.5) c += 1.0;
    }
    *ret = bt_tval_float(c);
    return BT_OK;
}

static bt_status join_seqs(trun *r, const tval *a, const tval *b, tval *ret)
{
    size_t n = bt_tseq_len(a), m = bt_tseq_len(b);
    tval seq;
    BT_TRY(bt_trun_step(r, (n + m) / 8));
    BT_TRY(bt_tseq_new(r, a->kind, n + m, &seq));
    for (size_t i = 0; i < n + m; i++)
        seq.seq->items[i] = i < n ? bt_tseq_at(a, i) : bt_tseq_at(b, i - n);
    seq.data = a->data || b->data;
    *ret = seq;
    return BT_OK;
}

static bt_status repeat_seq(trun *r, const tval *v, int64_t times, tval *ret)
{
    size_t n = bt_tseq_len(v), total;
    tval seq;
    if (times < 0) times = 0;
    BT_FAIL_IF(__builtin_mul_overflow(n, (size_t)times, &total), LIMIT,
               "the repeated list is too long");
    BT_TRY(bt_trun_step(r, total / 8));
    BT_TRY(bt_tseq_new(r, v->kind, total, &seq));
    for (size_t i = 0; i < total; i++) seq.seq->items[i] = bt_tseq_at(v, i % n);
    seq.data = v->data;
    *ret = seq;
    return BT_OK;
}

/* Markup is contagious: what it is added to is escaped first. */
static bt_status concat(trun *r, const tval *a, const tval *b, tval *ret)
{
    tval x = *a, y = *b;
    if (a->markup && !b->markup) BT_TRY(bt_tstr_escape(r, b, &y));
    if (b->markup && !a->markup) BT_TRY(bt_tstr_escape(r, a, &x));
    BT_TRY(bt_tstr_concat(r, &x, &y, ret));
    ret->markup = a->markup || b->markup;
    return BT_OK;
}

static bt_status binary_other(trun *r, top op, const tval *a, const tval *b, tval *ret)
{
    bool a_seq = a->kind == K_LIST || a->kind == K_TUPLE,
         b_seq = b->kind == K_LIST || b->kind == K_TUPLE;
    if (op == OP_ADD && a->kind == K_STR && b->kind == K_STR) return concat(r, a, b, ret);
    if (op == OP_ADD && a_seq && a->kind == b->kind) return join_seqs(r, a, b, ret);
    if (op == OP_MOD && a->kind == K_STR) return bt_tstr_percent(r, a, b, ret);
    if (op == OP_MUL && (a->kind == K_STR || a_seq) && bt_tval_is_int(b))
        return a_seq ? repeat_seq(r, a, b->i, ret) : bt_tstr_repeat(r, a, b->i, ret);
    if (op == OP_MUL && (b->kind == K_STR || b_seq) && bt_tval_is_int(a))
        return b_seq ? repeat_seq(r, b, a->i, ret) : bt_tstr_repeat(r, b, a->i, ret);
    if (a->kind == K_UNDEF) return bt_tval_fail_undef(a);
    if (b->kind == K_UNDEF) return bt_tval_fail_undef(b);
    return bt_fail(BT_INVALID, "unsupported operand types for %s: '%s' and '%s'", op_names[op],
                   bt_tval_type(a), bt_tval_type(b));
}

bt_status bt_tval_binary(trun *r, top op, const tval *a, const tval *b, tval *ret_value)
{
    tval value;
    if (!bt_tval_is_number(a) || !bt_tval_is_number(b)) return binary_other(r, op, a, b, ret_value);
    if (bt_tval_is_int(a) && bt_tval_is_int(b))
        BT_TRY(binary_int(op, a->i, b->i, &value));
    else
        BT_TRY(binary_float(op, bt_tval_as_double(a), bt_tval_as_double(b), &value));
    value.data = a->data || b->data;
    *ret_value = value;
    return BT_OK;
}

bt_status bt_tval_negate(const tval *v, bool minus, tval *ret_value)
{
    tval value = *v;
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    if (!bt_tval_is_number(v))
        return bt_fail(BT_INVALID, "bad operand type for unary %s: '%s'", minus ? "-" : "+",
                       bt_tval_type(v));
    if (v->kind == K_FLOAT) {
        if (minus) value.f = -v->f;
    } else {
        value.kind = K_INT;
        if (minus && v->i == INT64_MIN) return overflow(OP_SUB);
        if (minus) value.i = -v->i;
    }
    *ret_value = value;
    return BT_OK;
}

bt_status bt_tval_compare(trun *r, top op, const tval *a, const tval *b, bool *ret_holds)
{
    bool holds;
    switch (op) {
    case OP_EQ:
    case OP_NE:
        BT_TRY(bt_tval_equal(r, a, b, &holds));
        break;
    case OP_IN:
    case OP_NOTIN:
        BT_TRY(bt_tval_contains(r, a, b, &holds));
        break;
    default:
        return bt_tval_less(r, a, b, op_names[op], ret_holds);
    }
    *ret_holds = holds == (op == OP_EQ || op == OP_IN);
    return BT_OK;
}
