// SPDX-License-Identifier: Apache-2.0
/* replay: run a fuzz target over every file of a folder, so that each finding stays a test.
 * Prints in cmocka's form, which test/run.py counts. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    fseek(f, 0, SEEK_END);
    long len = ftell(f);
    rewind(f);
    uint8_t *data =
        malloc(len > 0 ? (size_t)len : 1); // exact size: the sanitizer sees one byte over
    size_t n = data ? fread(data, 1, (size_t)len, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int n = 0;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[2048];
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        if (run_file(path) == 0) n++;
    }
    if (dir) closedir(dir);
    printf("[       %s ] corpus of %d inputs\n", n ? "OK" : "FAILED", n);
    return n ? 0 : 1;
}
