// SPDX-License-Identifier: Apache-2.0
/* custom: opening a library of operators and looking at everything it says before anybody relies on
 * it: first that the file is one the loader survives, then that it was compiled for these structs,
 * then each row. What cannot be looked at is its code: a library is trusted as the program is. */
#define _GNU_SOURCE 1 // dladdr1
#include "graph/custom.h"
#include "base/file.h"
#include "graph/elfcheck.h"
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

struct bt_op_library {
    void *handle;
    const bt_op_library_info *info;
};

/* ---- what it says about itself ---- */

static bt_status check_size(const char *what, uint32_t theirs, size_t ours)
{
    BT_FAIL_IF(theirs != ours, UNSUPPORTED,
               "it was compiled with %s of %u bytes, this libbaton has %zu: compile it anew", what,
               theirs, ours);
    return BT_OK;
}

/* The exported symbol must be as large as what is read of it. */
static bt_status check_symbol(const void *symbol)
{
    Dl_info where;
    void *extra = NULL;
    if (!dladdr1(symbol, &where, &extra, RTLD_DL_SYMENT) || !extra) return BT_OK;
    const ElfW(Sym) *entry = extra;
    BT_FAIL_IF(
        ELF64_ST_TYPE(entry->st_info) != STT_OBJECT || entry->st_size < sizeof(bt_op_library_info),
        INVALID, "its '%s' is not what BT_OP_LIBRARY defines: %llu bytes, must be %zu",
        BT_OP_LIBRARY_SYMBOL, (unsigned long long)entry->st_size, sizeof(bt_op_library_info));
    return BT_OK;
}

static bt_status check_abi(const bt_op_library_info *info)
{
    BT_FAIL_IF(info->abi != BT_OP_ABI, UNSUPPORTED,
               "it was compiled for operator ABI %u, this libbaton has %d: compile it anew",
               info->abi, BT_OP_ABI);
    BT_TRY(check_size("bt_desc", info->desc_bytes, sizeof(bt_desc)));
    BT_TRY(check_size("bt_op", info->op_bytes, sizeof(bt_op)));
    return check_size("bt_launch", info->launch_bytes, sizeof(bt_launch));
}

static bt_status check_rows(const bt_op_library_info *info)
{
    BT_FAIL_IF(!info->name || !*info->name, INVALID, "it has no name");
    BT_FAIL_IF(info->n_op < 1 || info->n_op > BT_OP_LIBRARY_OP_MAX || !info->op, INVALID,
               "it has %d operators%s, must be 1 to %d", info->n_op, info->op ? "" : " and no list",
               BT_OP_LIBRARY_OP_MAX);
    for (int32_t i = 0; i < info->n_op; i++) {
        BT_FAIL_IF(!info->op[i], INVALID, "row %d of its %d operators is NULL", i, info->n_op);
        BT_TRY(bt_op_check(info->op[i]));
        for (int32_t j = 0; j < i; j++)
            BT_FAIL_IF(!strcmp(info->op[i]->name, info->op[j]->name), INVALID,
                       "rows %d and %d are both called '%s'", j, i, info->op[i]->name);
    }
    return BT_OK;
}

/* ---- open and close ---- */

/* The loader's words, without the path that it puts before most of them. */
static const char *loader_words(const char *path)
{
    const char *words = dlerror();
    size_t n = strlen(path);
    if (!words) return "the loader does not say why";
    return !strncmp(words, path, n) && !strncmp(words + n, ": ", 2) ? words + n + 2 : words;
}

static bt_status load(const char *path, void **ret_handle)
{
    bt_buf full = {0};
    if (!strchr(path, '/')) BT_TRY(bt_buf_text(&full, "./")); // else it is searched for elsewhere
    bt_status st = bt_buf_text(&full, path);
    if (st == BT_OK) {
        *ret_handle = dlopen(full.data, RTLD_NOW | RTLD_LOCAL);
        if (!*ret_handle) st = bt_fail(BT_IO, "%s", loader_words(full.data));
    }
    bt_buf_done(&full);
    return st;
}

static bt_status open_parts(const char *path, const bt_file *file, bt_op_library *l)
{
    BT_TRY(bt_elf_check(file->bytes, file->len));
    BT_TRY(load(path, &l->handle));
    const void *symbol = dlsym(l->handle, BT_OP_LIBRARY_SYMBOL);
    BT_FAIL_IF(!symbol, INVALID, "it exports no '%s': BT_OP_LIBRARY is missing in it",
               BT_OP_LIBRARY_SYMBOL);
    BT_TRY(check_symbol(symbol));
    l->info = symbol;
    BT_TRY(check_abi(l->info));
    return check_rows(l->info);
}

bt_status bt_op_library_open(const char *path, bt_op_library **ret_library)
{
    bt_op_library *l = NULL;
    bt_file file;
    BT_FAIL_IF(!path || !*path, INVALID, "operator library: the path is empty");
    bt_status st = bt_file_map(&file, path);
    if (st) {
        bt_fail_note("operator library"); // the path follows
        return st;
    }
    if ((st = bt_alloc_zero((void **)&l, sizeof *l, BT_MEM_MISC)) ||
        (st = open_parts(path, &file, l)))
        bt_fail_note("operator library '%s'", path);
    bt_file_unmap(&file);
    if (st)
        bt_op_library_close(l);
    else
        *ret_library = l;
    return st;
}

void bt_op_library_close(bt_op_library *l)
{
    if (!l) return;
    if (l->handle) dlclose(l->handle);
    bt_free(l);
}

/* ---- asking it ---- */

const char *bt_op_library_name(const bt_op_library *l) { return l->info->name; }
int32_t bt_op_library_count(const bt_op_library *l) { return l->info->n_op; }

const bt_op *bt_op_library_at(const bt_op_library *l, int32_t i)
{
    return i >= 0 && i < l->info->n_op ? l->info->op[i] : NULL;
}

const bt_op *bt_op_library_find(const bt_op_library *l, const char *name)
{
    for (int32_t i = 0; i < l->info->n_op; i++)
        if (!strcmp(l->info->op[i]->name, name)) return l->info->op[i];
    return NULL;
}

/* ---- sets ---- */

/* Graphs are built for the built-in operators: what stands in has to take the same. */
static bt_status check_stand_ins(const bt_op_library *l)
{
    for (int32_t i = 0; i < l->info->n_op; i++) {
        const bt_op *own = l->info->op[i], *builtin = bt_op_find(own->name);
        if (!builtin) continue;
        BT_FAIL_IF(own->n_in != builtin->n_in || own->n_in_must != builtin->n_in_must, INVALID,
                   "operator '%s' of library '%s' takes %d to %d inputs, the built-in '%s' that it "
                   "would replace %d to %d",
                   own->name, l->info->name, own->n_in_must, own->n_in, builtin->name,
                   builtin->n_in_must, builtin->n_in);
        BT_FAIL_IF(own->param_bytes != builtin->param_bytes, INVALID,
                   "operator '%s' of library '%s' has %u bytes of parameters, the built-in '%s' "
                   "that it would replace %u",
                   own->name, l->info->name, own->param_bytes, builtin->name, builtin->param_bytes);
        BT_FAIL_IF(!own->view != !builtin->view, INVALID,
                   "operator '%s' of library '%s' is %s view, the built-in '%s' that it would "
                   "replace is %s",
                   own->name, l->info->name, own->view ? "a" : "no", builtin->name,
                   builtin->view ? "one" : "none");
    }
    return BT_OK;
}

bt_status bt_op_set_open(const char *const *path, int32_t n, bt_op_set *ret_set)
{
    bt_op_set set = {0};
    bt_status st;
    BT_FAIL_IF(n < 0 || (n && !path), INVALID, "%d operator libraries%s", n,
               path ? ", must be at least 0" : " and no list of them");
    BT_TRY(bt_alloc_array((void **)&set.library, (size_t)n, sizeof *set.library, BT_MEM_MISC));
    for (; set.n < n; set.n++) {
        if ((st = bt_op_library_open(path[set.n], &set.library[set.n]))) goto fail;
        if ((st = check_stand_ins(set.library[set.n]))) {
            bt_fail_note("operator library '%s'", path[set.n]);
            set.n++; // it is open
            goto fail;
        }
    }
    *ret_set = set;
    return BT_OK;
fail:
    bt_op_set_close(&set);
    return st;
}

void bt_op_set_close(bt_op_set *set)
{
    while (set->n > 0) bt_op_library_close(set->library[--set->n]);
    bt_free(set->library);
    *set = (bt_op_set){0};
}

const bt_op *bt_op_set_get(const bt_op_set *set, const bt_op *builtin)
{
    for (int32_t i = set ? set->n : 0; i-- > 0;) {
        const bt_op *own = bt_op_library_find(set->library[i], builtin->name);
        if (own) return own;
    }
    return builtin;
}
