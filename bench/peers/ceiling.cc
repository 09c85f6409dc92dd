// SPDX-License-Identifier: Apache-2.0
/* ceiling: how long oneDNN takes for out[M, N] = x[M, K] W[N, K]^T in f32, bf16 or int8, one JSON line for each M.
 *
 *   ceiling f32|bf16|int8 N K RUNS M...
 *
 * It is timed as `baton bench kernels` times a linear: up to M = 32 the weights are copies of 128 MB in turn, so that
 * they come from memory; a run is as many passes as fill 4 ms; the median of the runs counts. Weights lie as oneDNN
 * wants them for that M, and x is in its type already. int8 is u8 activations with s8 weights, and one scale a row
 * of W on the f32 that comes out. Each product is held against plain loops once before it is timed.
 */
#include <oneapi/dnnl/dnnl.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using dnnl::memory;
using type = memory::data_type;
using tag = memory::format_tag;

static const double RUN_S = 0.004;
static const size_t COLD_BYTES = 128 << 20;
static const int M_COLD = 32; // up to here weights come from memory

struct element_types {
    const char *name;
    type x, w;
};
static const element_types all_types[] = {
    {"f32", type::f32, type::f32}, {"bf16", type::bf16, type::bf16}, {"int8", type::u8, type::s8}};

// ---- numbers ----

/* Small whole numbers, exact in every type: x in 0..7, W in -4..3. */
static float number_at(uint64_t seed, uint64_t i, int least)
{
    uint64_t r = (seed + i) * 0x9E3779B97F4A7C15u;
    r = (r ^ r >> 30) * 0xBF58476D1CE4E5B9u;
    return (float)((int)(r >> 40 & 7) + least);
}

static std::vector<float> numbers(size_t n, uint64_t seed, int least)
{
    std::vector<float> out(n);
    for (size_t i = 0; i < n; i++) out[i] = number_at(seed, i, least);
    return out;
}

static float scale_of(int64_t row) { return 1.0f / (float)(1 + row % 4); }

// ---- one product ----

struct product {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
    int64_t m, n, k;
    bool scaled;
    dnnl::matmul::primitive_desc desc;
    dnnl::matmul matmul;
    memory x, out, scale;
    std::vector<memory> w; // copies, each as desc wants it

    product(const element_types &t, int64_t m_, int64_t n_, int64_t k_);
    memory converted(const std::vector<float> &from, const memory::dims &dims, tag order,
                     const memory::desc &to);
    void step();
    bool is_right();
};

memory product::converted(const std::vector<float> &from, const memory::dims &dims, tag order,
                          const memory::desc &to)
{
    memory plain({dims, type::f32, order}, engine, (void *)from.data()), made(to, engine);
    dnnl::reorder(plain, made).execute(stream, plain, made);
    stream.wait();
    return made;
}

product::product(const element_types &t, int64_t m_, int64_t n_, int64_t k_)
    : m(m_), n(n_), k(k_), scaled(t.w == type::s8)
{
    memory::desc x_desc({m, k}, t.x, tag::ab), w_desc({k, n}, t.w, tag::any),
        out_desc({m, n}, type::f32, tag::ab);
    dnnl::primitive_attr attr;
    if (scaled) attr.set_scales_mask(DNNL_ARG_WEIGHTS, 1 << 1);
    desc = dnnl::matmul::primitive_desc(engine, x_desc, w_desc, out_desc, attr);
    matmul = dnnl::matmul(desc);
    x = converted(numbers(m * k, 1, 0), {m, k}, tag::ab, x_desc);
    out = memory(out_desc, engine);
    scale = memory({{n}, type::f32, tag::a}, engine);
    for (int64_t i = 0; i < n; i++) ((float *)scale.get_data_handle())[i] = scale_of(i);
    size_t bytes = desc.weights_desc().get_size(),
           n_copy = m > M_COLD ? 1 : (COLD_BYTES + bytes - 1) / bytes;
    std::vector<float> plain =
        numbers(n * k, 2, -4); // [n, k]: the transpose of what oneDNN calls weights
    for (size_t i = 0; i < n_copy; i++)
        w.push_back(converted(plain, {k, n}, tag::ba, desc.weights_desc()));
}

/* One product with each copy of the weights. */
void product::step()
{
    for (memory &weights : w) {
        std::unordered_map<int, memory> args = {
            {DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, out}};
        if (scaled) args[DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS] = scale;
        matmul.execute(stream, args);
    }
    stream.wait();
}

/* Some outputs of the last product, exactly: sums of whole numbers below 2^24, times a scale. */
bool product::is_right()
{
    const float *got = (const float *)out.get_data_handle();
    for (int64_t i = 0; i < m * n; i += 997) {
        double sum = 0;
        for (int64_t j = 0; j < k; j++)
            sum += (double)number_at(1, i / n * k + j, 0) * number_at(2, i % n * k + j, -4);
        double want = sum * (scaled ? scale_of(i % n) : 1);
        if (!(std::fabs(got[i] - want) <= 1e-4 * (1 + std::fabs(want)))) {
            fprintf(stderr, "out[%lld] is %g, not %g\n", (long long)i, got[i], want);
            return false;
        }
    }
    return true;
}

// ---- measuring ----

static double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/* Microseconds of one product. */
static double run_us(product &p)
{
    int64_t n = 0;
    double begin = now();
    for (; n < 1 || now() - begin < RUN_S; n++) p.step();
    return (now() - begin) * 1e6 / (double)(n * p.w.size());
}

static bool measure(const element_types &t, int64_t m, int64_t n, int64_t k, int n_run)
{
    product p(t, m, n, k);
    p.step();
    if (!p.is_right()) return false;
    for (int i = 0; i < 2; i++) p.step();
    std::vector<double> us;
    for (int i = 0; i < n_run; i++) us.push_back(run_us(p));
    std::sort(us.begin(), us.end());
    printf("{\"m\": %lld, \"us\": %.4f, \"kernel\": \"%s\"}\n", (long long)m, us[us.size() / 2],
           p.desc.impl_info_str());
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: %s f32|bf16|int8 N K RUNS M...\n", argv[0]);
        return 2;
    }
    const element_types *t = nullptr;
    for (const element_types &one : all_types)
        if (!strcmp(one.name, argv[1])) t = &one;
    if (!t) {
        fprintf(stderr, "the type is '%s'; it is one of f32, bf16, int8\n", argv[1]);
        return 2;
    }
    const dnnl_version_t *v = dnnl_version();
    printf("{\"version\": \"%d.%d.%d\"}\n", v->major, v->minor, v->patch);
    try {
        for (int i = 5; i < argc; i++)
            if (!measure(*t, atoll(argv[i]), atoll(argv[2]), atoll(argv[3]), atoi(argv[4])))
                return 1;
    } catch (const dnnl::error &error) {
        fprintf(stderr, "oneDNN: %s\n", error.what());
        return 1;
    }
    return 0;
}
