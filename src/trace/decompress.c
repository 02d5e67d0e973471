/* SPDX-License-Identifier: BSD-3-Clause */
/* Streaming decompressors: one adapter a library. See decompress.h. */
#include "decompress.h"

#include <lz4frame.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <fwdlab/base/vec.h>

#define XZ_MEMORY (256u << 20) /* xz -9 takes 65 MiB to decompress */

/* gz (RFC 1952): zlib stops after each member, so the next one is started here. */
struct gz {
    z_stream z;
    bool whole;
};

static void *gz_create(void) {
    struct gz *gz = xzalloc(1, sizeof *gz);
    if (inflateInit2(&gz->z, 15 + 16) == Z_OK)
        return gz;
    vec_release(gz);
    return NULL;
}

static enum decompress_state gz_run(void *state, struct decompress_io *io, const char **why) {
    struct gz *gz = state;
    z_stream *z = &gz->z;
    if (gz->whole)
        inflateReset(z);
    z->next_in = (uint8_t *)io->in;
    z->avail_in = (uInt)(io->in_end - io->in);
    z->next_out = io->out;
    z->avail_out = (uInt)(io->out_end - io->out);
    int r = inflate(z, Z_NO_FLUSH);
    io->in = z->next_in;
    io->out = z->next_out;
    gz->whole = r == Z_STREAM_END;
    if (r == Z_OK || r == Z_BUF_ERROR)
        return DECOMPRESS_MORE;
    *why = z->msg ? z->msg : zError(r);
    return gz->whole ? DECOMPRESS_WHOLE : DECOMPRESS_BAD;
}

static void gz_destroy(void *state) {
    struct gz *gz = state;
    inflateEnd(&gz->z);
    vec_release(gz);
}

/* zst (RFC 8878) */
static void *zst_create(void) {
    return ZSTD_createDStream();
}

static enum decompress_state zst_run(void *state, struct decompress_io *io, const char **why) {
    ZSTD_inBuffer in = {io->in, (size_t)(io->in_end - io->in), 0};
    ZSTD_outBuffer out = {io->out, (size_t)(io->out_end - io->out), 0};
    size_t r = ZSTD_decompressStream(state, &out, &in);
    io->in += in.pos;
    io->out += out.pos;
    if (!ZSTD_isError(r))
        return r ? DECOMPRESS_MORE : DECOMPRESS_WHOLE;
    *why = ZSTD_getErrorName(r);
    return DECOMPRESS_BAD;
}

static void zst_destroy(void *state) {
    ZSTD_freeDStream(state);
}

/* lz4 frames */
static void *lz4_create(void) {
    LZ4F_dctx *ctx = NULL;
    return LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)) ? NULL : ctx;
}

static enum decompress_state lz4_run(void *state, struct decompress_io *io, const char **why) {
    size_t in = (size_t)(io->in_end - io->in), out = (size_t)(io->out_end - io->out);
    size_t r = LZ4F_decompress(state, io->out, &out, io->in, &in, NULL);
    if (LZ4F_isError(r)) {
        *why = LZ4F_getErrorName(r);
        return DECOMPRESS_BAD;
    }
    io->in += in;
    io->out += out;
    return r ? DECOMPRESS_MORE : DECOMPRESS_WHOLE;
}

static void lz4_destroy(void *state) {
    LZ4F_freeDecompressionContext(state);
}

/* xz: liblzma goes from stream to stream itself and wants to be told where the input ends. */
static void *xz_create(void) {
    lzma_stream *z = xzalloc(1, sizeof *z);
    if (lzma_stream_decoder(z, XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK)
        return z;
    vec_release(z);
    return NULL;
}

static const char *xz_error(lzma_ret r) {
    switch (r) {
    case LZMA_DATA_ERROR: return "data error or checksum mismatch";
    case LZMA_FORMAT_ERROR: return "not xz data";
    case LZMA_OPTIONS_ERROR: return "unsupported options";
    case LZMA_MEMLIMIT_ERROR: return "it needs more than 256 MiB to decompress";
    case LZMA_MEM_ERROR: return "out of memory";
    default: return "internal error";
    }
}

static enum decompress_state xz_run(void *state, struct decompress_io *io, const char **why) {
    lzma_stream *z = state;
    z->next_in = io->in;
    z->avail_in = (size_t)(io->in_end - io->in);
    z->next_out = io->out;
    z->avail_out = (size_t)(io->out_end - io->out);
    lzma_ret r = lzma_code(z, io->last ? LZMA_FINISH : LZMA_RUN);
    io->in = z->next_in;
    io->out = z->next_out;
    if (r == LZMA_STREAM_END)
        return DECOMPRESS_WHOLE;
    if (r == LZMA_OK || r == LZMA_BUF_ERROR)
        return DECOMPRESS_MORE;
    *why = xz_error(r);
    return DECOMPRESS_BAD;
}

static void xz_destroy(void *state) {
    lzma_end(state);
    vec_release(state);
}

static const struct decompressor decompressors[] = {
    {"gz", {0x1f, 0x8b}, 2, gz_create, gz_run, gz_destroy},
    {"zst", {0x28, 0xb5, 0x2f, 0xfd}, 4, zst_create, zst_run, zst_destroy},
    {"lz4", {0x04, 0x22, 0x4d, 0x18}, 4, lz4_create, lz4_run, lz4_destroy},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, xz_create, xz_run, xz_destroy},
};

const struct decompressor *decompressor_find(const uint8_t *head, size_t len) {
    for (size_t i = 0; i < sizeof decompressors / sizeof *decompressors; i++) {
        const struct decompressor *d = &decompressors[i];
        if (len >= d->magic_len && !memcmp(head, d->magic, d->magic_len))
            return d;
    }
    return NULL;
}
