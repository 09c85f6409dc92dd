// SPDX-License-Identifier: Apache-2.0
/* packfile: the head is laid out once, in `make_head`, for writing and for comparing. */
#include "model/packfile.h"
#include "base/bits.h"
#include <string.h>

enum { FORMAT_VERSION = 1, PAGE = 4096, CHUNK = 1 << 20 };

static const char magic[8] = "batonpak";

typedef struct header {
    char magic[8];
    uint32_t version, panel_version;
    uint64_t file_bytes;
    uint64_t model[2], packing; // keys of the spec
    uint64_t n_matrix, n_sum;
    uint64_t sum; // XXH3 of the head with 0 in this place
} header;

typedef struct section {
    uint64_t at, bytes; // in the file, a multiple of PAGE
    int64_t n_row, n_col;
    uint64_t dtype;
} section;

static_assert(sizeof(header) == 72 && sizeof(section) == 40, "no padding: files hold these");

/* ---- sizes ---- */

static uint64_t n_chunk(const bt_packed *m) { return (uint64_t)bt_div_up(m->bytes, CHUNK); }

static bool to_page(uint64_t *at)
{
    return bt_add_fits(*at, (uint64_t)PAGE - 1, at) && (*at = *at / PAGE * PAGE, true);
}

static uint64_t count_sums(const bt_packfile_spec *spec)
{
    uint64_t n = 0; // cannot overflow: each matrix has less than 2^63 / CHUNK
    for (int64_t i = 0; i < spec->n_matrix; i++) n += n_chunk(&spec->matrix[i]);
    return n;
}

static bool sizes_fit(const bt_packfile_spec *spec, uint64_t *ret_head, uint64_t *ret_all)
{
    uint64_t sections, sums, head = sizeof(header), all;
    if (!bt_mul_fits((uint64_t)spec->n_matrix, sizeof(section), &sections) ||
        !bt_mul_fits(count_sums(spec), sizeof(uint64_t), &sums) ||
        !bt_add_fits(head, sections, &head) || !bt_add_fits(head, sums, &head))
        return false;
    all = head;
    for (int64_t i = 0; i < spec->n_matrix; i++)
        if (!to_page(&all) || !bt_add_fits(all, (uint64_t)spec->matrix[i].bytes, &all))
            return false;
    *ret_head = head;
    *ret_all = all;
    return all <= INT64_MAX;
}

static bt_status get_bytes(const bt_packfile_spec *spec, uint64_t *ret_head, uint64_t *ret_all)
{
    BT_FAIL_IF(!sizes_fit(spec, ret_head, ret_all), LIMIT, "the panels' sizes overflow");
    return BT_OK;
}

bt_status bt_packfile_bytes(const bt_packfile_spec *spec, uint64_t *ret_bytes)
{
    uint64_t head_bytes;
    return get_bytes(spec, &head_bytes, ret_bytes);
}

/* ---- the head ---- */

/* The head but for its sums, into zeroed memory of its size. */
static void make_head(const bt_packfile_spec *spec, uint64_t head_bytes, uint64_t file_bytes,
                      uint8_t *ret_head)
{
    header h = {.version = FORMAT_VERSION,
                .panel_version = spec->panel_version,
                .file_bytes = file_bytes,
                .model = {spec->model.word[0], spec->model.word[1]},
                .packing = spec->packing,
                .n_matrix = (uint64_t)spec->n_matrix,
                .n_sum = count_sums(spec)};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(ret_head, &h, sizeof h);
    uint64_t at = head_bytes;
    for (int64_t i = 0; i < spec->n_matrix; i++) {
        const bt_packed *m = &spec->matrix[i];
        (void)to_page(&at);
        section s = {.at = at,
                     .bytes = (uint64_t)m->bytes,
                     .n_row = m->desc.dim[0],
                     .n_col = m->desc.dim[1],
                     .dtype = (uint64_t)m->desc.dtype};
        memcpy(ret_head + sizeof h + (size_t)i * sizeof s, &s, sizeof s);
        at += s.bytes;
    }
}

static uint64_t sum_head(const uint8_t *head, uint64_t head_bytes)
{
    header h;
    memcpy(&h, head, sizeof h);
    h.sum = 0;
    uint64_t rest = bt_hash64(head + sizeof h, head_bytes - sizeof h, 0);
    return bt_hash64(&h, sizeof h, rest);
}

/* What two files of one format may differ in, from the coarse to the fine, so that the message says
 * what happened. */
static bt_status check_header(const header *h, const header *want, size_t len)
{
    BT_FAIL_IF(memcmp(h->magic, want->magic, sizeof h->magic) != 0, FORMAT,
               "it is no file of packed weights");
    BT_FAIL_IF(h->version != want->version, UNSUPPORTED, "it has version %u, this build's is %u",
               h->version, want->version);
    BT_FAIL_IF(h->model[0] != want->model[0] || h->model[1] != want->model[1], NOTFOUND,
               "the model has changed since");
    BT_FAIL_IF(h->panel_version != want->panel_version || h->packing != want->packing, UNSUPPORTED,
               "its panels are those of another build (version %u, digest %016llx; this one's are "
               "%u, %016llx)",
               h->panel_version, (unsigned long long)h->packing, want->panel_version,
               (unsigned long long)want->packing);
    BT_FAIL_IF(h->n_matrix != want->n_matrix || h->n_sum != want->n_sum, FORMAT,
               "it claims %llu matrices and %llu sums, must be %llu and %llu",
               (unsigned long long)h->n_matrix, (unsigned long long)h->n_sum,
               (unsigned long long)want->n_matrix, (unsigned long long)want->n_sum);
    BT_FAIL_IF(h->file_bytes != want->file_bytes || len != want->file_bytes, FORMAT,
               "it has %zu bytes and claims %llu, must be %llu", len,
               (unsigned long long)h->file_bytes, (unsigned long long)want->file_bytes);
    return BT_OK;
}

static bt_status compare_head(const uint8_t *bytes, size_t len, const uint8_t *head,
                              uint64_t head_bytes, int64_t n_matrix)
{
    header h, want;
    memcpy(&h, bytes, sizeof h);
    memcpy(&want, head, sizeof want);
    BT_TRY(check_header(&h, &want, len));
    uint64_t sum = sum_head(bytes, head_bytes); // all of the head is there: len is right
    BT_FAIL_IF(h.sum != sum, FORMAT, "its head has the sum %016llx, must be %016llx",
               (unsigned long long)h.sum, (unsigned long long)sum);
    for (int64_t i = 0; i < n_matrix; i++) {
        size_t at = sizeof h + (size_t)i * sizeof(section);
        BT_FAIL_IF(memcmp(bytes + at, head + at, sizeof(section)) != 0, FORMAT,
                   "matrix %lld is not the one that it must be", (long long)i);
    }
    return BT_OK;
}

static bt_status check_head(const uint8_t *bytes, size_t len, const bt_packfile_spec *spec)
{
    uint64_t head_bytes, all_bytes;
    uint8_t *head;
    BT_FAIL_IF(len < sizeof(header), FORMAT, "it has %zu bytes, its header alone has %zu", len,
               sizeof(header));
    BT_TRY(get_bytes(spec, &head_bytes, &all_bytes));
    BT_TRY(bt_alloc_zero((void **)&head, (size_t)head_bytes, BT_MEM_MISC));
    make_head(spec, head_bytes, all_bytes, head);
    bt_status st = compare_head(bytes, len, head, head_bytes, spec->n_matrix);
    bt_free(head);
    return st;
}

/* ---- sums of panels ---- */

typedef struct sum_args {
    const bt_file *file; // to be read ahead; NULL: in memory
    const uint8_t *panels;
    int64_t bytes;
    uint64_t *sum; // [chunks of this matrix]
} sum_args;

/* Items are chunks. */
static void sum_chunks(const void *args, int64_t begin, int64_t end)
{
    const sum_args *a = args;
    for (int64_t i = begin; i < end; i++) {
        const uint8_t *at = a->panels + i * CHUNK;
        size_t len = (size_t)bt_min_i64(CHUNK, a->bytes - i * CHUNK);
        if (a->file) bt_file_advise(a->file, at, len, BT_FILE_NOW);
        a->sum[i] = bt_hash64(at, len, 0);
    }
}

static void sum_matrix(bt_team *team, const sum_args *args)
{
    bt_team_run_one(team, (bt_step){.fn = sum_chunks,
                                    .args = args,
                                    .n_item = bt_div_up(args->bytes, CHUNK),
                                    .grain = 1});
}

/* ---- reading ---- */

typedef struct check {
    const bt_packfile_spec *spec;
    bt_team *team;
    const bt_progress *progress;
    const bt_file *file;
    uint64_t *got; // [n_sum]
} check;

static section section_at(const uint8_t *bytes, int64_t i)
{
    section s;
    memcpy(&s, bytes + sizeof(header) + (size_t)i * sizeof s, sizeof s);
    return s;
}

static bt_status check_panels(const check *c)
{
    const bt_packfile_spec *spec = c->spec;
    const uint8_t *bytes = c->file->bytes;
    const uint8_t *sums = bytes + sizeof(header) + (size_t)spec->n_matrix * sizeof(section);
    for (int64_t i = 0; i < spec->n_matrix; i++) {
        section s = section_at(bytes, i);
        sum_args args = {c->file, bytes + s.at, spec->matrix[i].bytes, c->got};
        size_t n_bytes = n_chunk(&spec->matrix[i]) * sizeof *c->got;
        sum_matrix(c->team, &args);
        BT_FAIL_IF(memcmp(c->got, sums, n_bytes) != 0, FORMAT,
                   "the panels of matrix %lld are damaged", (long long)i);
        sums += n_bytes;
        if (c->progress && c->progress->fn)
            c->progress->fn(c->progress->ctx, "mapping packed weights", s.at + s.bytes,
                            c->file->len);
    }
    return BT_OK;
}

bt_status bt_packfile_open(const bt_file *file, const bt_packfile_spec *spec, bt_team *team,
                           const bt_progress *progress, const void **ret_panels)
{
    check c = {.spec = spec, .team = team, .progress = progress, .file = file};
    BT_TRY(check_head(file->bytes, file->len, spec));
    BT_TRY(bt_alloc_array((void **)&c.got, count_sums(spec), sizeof *c.got, BT_MEM_MISC));
    bt_file_advise(file, file->bytes, file->len, BT_FILE_SOON);
    bt_status st = check_panels(&c);
    bt_free(c.got);
    for (int64_t i = 0; i < spec->n_matrix && st == BT_OK; i++)
        ret_panels[i] = file->bytes + section_at(file->bytes, i).at;
    return st;
}

bt_status bt_packfile_map(const char *path, const bt_packfile_spec *spec, bt_team *team,
                          const bt_progress *progress, bt_file *ret_file, const void **ret_panels)
{
    bt_file file;
    BT_TRY(bt_file_map(&file, path));
    bt_status st = bt_packfile_open(&file, spec, team, progress, ret_panels);
    if (st != BT_OK) {
        bt_fail_note("'%s'", path);
        bt_file_unmap(&file);
        return st;
    }
    *ret_file = file;
    return BT_OK;
}

/* ---- writing ---- */

static void finish_head(const bt_packfile_spec *spec, bt_team *team, uint64_t head_bytes,
                        uint8_t *head)
{
    uint64_t *sum = (uint64_t *)(head + sizeof(header) + (size_t)spec->n_matrix * sizeof(section));
    for (int64_t i = 0; i < spec->n_matrix; i++) {
        const bt_packed *m = &spec->matrix[i];
        sum_matrix(team, &(sum_args){.panels = m->panels, .bytes = m->bytes, .sum = sum});
        sum += n_chunk(m);
    }
    uint64_t whole = sum_head(head, head_bytes);
    memcpy(head + offsetof(header, sum), &whole, sizeof whole);
}

static bt_status write_all(bt_writer *w, const bt_packfile_spec *spec, const uint8_t *head,
                           uint64_t head_bytes)
{
    BT_TRY(bt_writer_add(w, head, (size_t)head_bytes));
    for (int64_t i = 0; i < spec->n_matrix; i++) {
        BT_TRY(bt_writer_align(w, PAGE));
        BT_TRY(bt_writer_add(w, spec->matrix[i].panels, (size_t)spec->matrix[i].bytes));
    }
    return BT_OK;
}

bt_status bt_packfile_write(const char *path, const bt_packfile_spec *spec, bt_team *team)
{
    uint64_t head_bytes, all_bytes;
    uint8_t *head;
    bt_writer w;
    BT_TRY(get_bytes(spec, &head_bytes, &all_bytes));
    BT_TRY(bt_alloc_zero((void **)&head, (size_t)head_bytes, BT_MEM_MISC));
    make_head(spec, head_bytes, all_bytes, head);
    finish_head(spec, team, head_bytes, head);
    bt_status st = bt_writer_open(&w, path);
    if (st == BT_OK && (st = write_all(&w, spec, head, head_bytes)))
        bt_writer_abort(&w);
    else if (st == BT_OK)
        st = bt_writer_commit(&w);
    bt_free(head);
    return st;
}
