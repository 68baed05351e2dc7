/*
 * Runs a fuzzer over the files of its corpus with any compiler, as a test of the suite:
 *
 *     <name>_fuzz DIRECTORY...
 *
 * Each input is given as it is, cut short at up to CUTS places, and with single bytes changed, always the
 * same ones; the empty input comes first. Inputs are copied to memory of exactly their size, so that the
 * address sanitizer sees a read beyond the end. A fuzzer says "wrong" by ending the process, so whatever
 * reaches the last line has passed. One thread; owns everything.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1024 * 1024)
#define CUTS      256
#define CHANGES   256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static void give(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        fputs("replay: out of memory\n", stderr);
        exit(1);
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void give_cuts(const uint8_t *data, size_t size) {
    size_t step = size / CUTS + 1;
    for (size_t len = 0; len < size; len += step) {
        give(data, len);
    }
}

/* Bytes that mean something in the languages we read, and some that mean nothing anywhere. */
static void give_changes(uint8_t *data, size_t size) {
    static const uint8_t BYTES[] = {'\0', ' ', '"', '\'', '(', ')', '!',  ',',  ':', '.',
                                    '/',  '0', '9', '{',  '[', '-', 0x7f, 0x80, 0xff};
    size_t step = size * sizeof(BYTES) / CHANGES + 1;
    for (size_t i = 0; i < size * sizeof(BYTES); i += step) {
        uint8_t *at = &data[i / sizeof(BYTES)];
        uint8_t saved = *at;
        *at = BYTES[i % sizeof(BYTES)];
        give(data, size);
        *at = saved;
    }
}

static int replay_file(const char *path) {
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    fprintf(stderr, "replay: %s\n", path); /* the last one named is the one that fails */
    give(data, size);
    give_cuts(data, size);
    give_changes(data, size);
    return 0;
}

static int replay_directory(const char *path, unsigned *passed) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        perror(path);
        return -1;
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        char name[4096];
        struct stat info;
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
        if (stat(name, &info) == 0 && S_ISREG(info.st_mode)) {
            if (replay_file(name) == 0) {
                ++*passed;
            } else {
                result = -1;
            }
        }
    }
    free(entries);
    return result;
}

int main(int argc, char **argv) {
    unsigned passed = 0;
    int result = 0;
    if (LLVMFuzzerInitialize != NULL) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    give(NULL, 0);
    passed++;
    for (int i = 1; i < argc; i++) {
        if (replay_directory(argv[i], &passed) != 0) {
            result = 1;
        }
    }
    printf("%u passed, %d failed, 0 skipped\n", passed, result);
    return result;
}
