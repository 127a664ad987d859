/* SPDX-License-Identifier: MIT */
/*
 * libquant/base.h - status, errors, memory, element types, contexts, progress
 *
 * Rules that hold for every function of the library:
 *
 *   - A function that can fail returns an lq_status.  Results come back through
 *     out-parameters, which are untouched on failure.
 *   - Nothing aborts, exits, prints, reads the environment or keeps global state.
 *   - An options struct begins with 'size_t struct_size' and is started with its
 *     LQ_..._INIT macro or lq_..._init() function.  All-zero members mean defaults.
 *     struct_size 0 is LQ_ERR_ARG; a struct longer than the library knows is
 *     accepted while its unknown tail is zero, else LQ_ERR_UNSUPPORTED.
 *   - Float arrays need their natural alignment, packed data needs none.
 *   - Sizes are 64-bit and every multiplication of sizes is checked.
 *   - A handle may be used by several threads at once through functions that take
 *     it as const; functions that take it as non-const need one caller at a time.
 */
#ifndef LIBQUANT_BASE_H
#define LIBQUANT_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) || !defined(__GNUC__)
#define LQ_API
#else
#define LQ_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ status */

/* Result of a call: 0 or one of the negative, pinned numbers below. */
typedef int32_t lq_status;

enum {
    LQ_OK              = 0,
    LQ_ERR_ARG         = -1,  /* an argument is NULL, out of range or contradictory */
    LQ_ERR_SHAPE       = -2,  /* rows, cols or groups do not fit the format */
    LQ_ERR_OVERFLOW    = -3,  /* a size does not fit 64 bits, or size_t */
    LQ_ERR_NOMEM       = -4,  /* the allocator returned NULL */
    LQ_ERR_IO          = -5,  /* the system refused to read or write */
    LQ_ERR_NOSPACE     = -6,  /* no room on the output's file system */
    LQ_ERR_TRUNCATED   = -7,  /* the data ends before what it announces */
    LQ_ERR_FORMAT      = -8,  /* not this file type: magic, syntax */
    LQ_ERR_CORRUPT     = -9,  /* the parts of the data contradict each other */
    LQ_ERR_LIMIT       = -10, /* larger than a documented limit */
    LQ_ERR_UNSUPPORTED = -11, /* legal, but not available here */
    LQ_ERR_NONFINITE   = -12, /* NaN or infinity where the policy forbids it */
    LQ_ERR_NUMERIC     = -13, /* a computation has no usable result */
    LQ_ERR_BUFFER      = -14, /* the caller's buffer is too small */
    LQ_ERR_OVERLAP     = -15, /* input and output share memory */
    LQ_ERR_ALIGN       = -16, /* a float array is not naturally aligned */
    LQ_ERR_DUPLICATE   = -17, /* a name occurs twice */
    LQ_ERR_NOTFOUND    = -18, /* no such file, tensor, key or format */
    LQ_ERR_EXISTS      = -19, /* the output exists and may not be replaced */
    LQ_ERR_MISMATCH    = -20, /* two inputs that belong together disagree */
    LQ_ERR_CANCELLED   = -21  /* the progress callback asked to stop */
};

/* Constant name of a status, "LQ_ERR_ARG"; "unknown status" otherwise.  Never NULL. */
LQ_API const char *lq_status_name(lq_status status);

/* One English clause for a status, "a size does not fit".  Never NULL. */
LQ_API const char *lq_status_text(lq_status status);

/* Position of an error that has none. */
#define LQ_NO_OFFSET UINT64_MAX

/*
 * What went wrong, in words.  Owned by the caller, optional everywhere: pass NULL
 * when the status is enough.  Written only on failure.  Strings are terminated and
 * cut to fit; bytes of names from files are escaped when they are not printable.
 */
typedef struct lq_error {
    size_t    struct_size;
    lq_status status;
    int32_t   system;       /* errno of an I/O error, else 0 */
    uint64_t  offset;       /* byte offset in the file, or LQ_NO_OFFSET */
    char      file[256];    /* path, or "" */
    char      name[128];    /* tensor, metadata key or option, or "" */
    char      message[384]; /* complete sentence, includes the three above */
} lq_error;

#define LQ_ERROR_INIT { sizeof(lq_error), 0, 0, LQ_NO_OFFSET, "", "", "" }
LQ_API void lq_error_init(lq_error *error);

/* ------------------------------------------------------------------ memory */

/*
 * Allocator of a context.  'alloc' returns 'size' bytes (never 0) aligned to 'align'
 * (a power of two, at most 4096) or NULL; 'free' accepts NULL.  Both may be called
 * from several threads at once.  All-zero: malloc and free.
 */
typedef struct lq_allocator {
    void *(*alloc)(void *user, size_t size, size_t align);
    void  (*free)(void *user, void *memory);
    void  *user;
} lq_allocator;

/* ----------------------------------------------------------- element types */

/* Type of single numbers: activations, scales, raw tensors of files.  Pinned. */
typedef int32_t lq_dtype;

enum {
    LQ_DTYPE_DEFAULT = 0, /* F32 for activations, the format's own for scales */
    LQ_F32     = 1,
    LQ_F16     = 2,
    LQ_BF16    = 3,
    LQ_F64     = 4,
    LQ_F8_E4M3 = 5,  /* OCP E4M3FN: no infinity, largest 448 */
    LQ_F8_E5M2 = 6,
    LQ_E8M0    = 7,  /* power of two, 2^(code - 127), 255 is NaN */
    LQ_I8      = 16,
    LQ_U8      = 17,
    LQ_I16     = 18,
    LQ_U16     = 19,
    LQ_I32     = 20,
    LQ_U32     = 21,
    LQ_I64     = 22,
    LQ_U64     = 23,
    LQ_BOOL    = 24
};

/* Bytes of one element, 0 for an unknown type. */
LQ_API size_t lq_dtype_bytes(lq_dtype type);

/* Lower-case name, "bf16"; NULL for an unknown type. */
LQ_API const char *lq_dtype_name(lq_dtype type);

/* ---------------------------------------------------------------- contexts */

/*
 * Allocator, CPU level, threads and expanded tables.  Immutable after creation and
 * shareable between threads; must outlive every handle created with it.
 */
typedef struct lq_ctx lq_ctx;

/* CPU levels, cumulative within an architecture.  A level that the CPU or the build
 * lacks is refused.  Pinned. */
typedef int32_t lq_level;

enum {
    LQ_LEVEL_BEST        = 0,  /* the best that this CPU and this build have */
    LQ_LEVEL_REF         = 1,  /* plain C */
    LQ_LEVEL_AVX2        = 10, /* AVX2, FMA, F16C */
    LQ_LEVEL_AVX2_VNNI   = 11,
    LQ_LEVEL_AVX512_VNNI = 12, /* AVX-512 F, BW, DQ, VL, VBMI, VNNI */
    LQ_LEVEL_AVX512_BF16 = 13,
    LQ_LEVEL_NEON         = 20,
    LQ_LEVEL_NEON_DOTPROD = 21,
    LQ_LEVEL_NEON_I8MM    = 22
};

/* "ref", "avx2", "avx512-vnni"...; NULL for an unknown level. */
LQ_API const char *lq_level_name(lq_level level);

/* Level of a name; LQ_ERR_NOTFOUND, or LQ_ERR_ARG for NULL. */
LQ_API lq_status lq_level_find(const char *name, lq_level *level);

/* 1 if this build, on this CPU, can run 'level', else 0. */
LQ_API int lq_level_available(lq_level level);

/*
 * The caller's own threads: run task(arg, i) once for each i in [0, count), in any
 * order, on any threads, and return when all are done.  Tasks never call back into
 * 'parallel_for'.  Results of the library do not depend on how it does this.
 */
typedef void lq_parallel_for(void *user, size_t count,
                             void (*task)(void *arg, size_t index), void *arg);

typedef struct lq_ctx_opts {
    size_t           struct_size;
    lq_allocator     allocator;
    lq_level         level;
    uint32_t         threads;       /* 0: one.  At most 1024.  The caller counts as one */
    uint32_t         spin_us;       /* how long an idle worker spins before it sleeps;
                                       0: 20, UINT32_MAX: not at all */
    lq_parallel_for *parallel_for;  /* used instead of own threads when not NULL */
    void            *parallel_user;
} lq_ctx_opts;

#define LQ_CTX_OPTS_INIT { sizeof(lq_ctx_opts), { 0, 0, 0 }, 0, 0, 0, 0, 0 }
LQ_API void lq_ctx_opts_init(lq_ctx_opts *opts);

/*
 * Create a context.  'opts' NULL: malloc, best level, one thread.  Threads that the
 * system refuses to start are done without.  A context whose pool is busy (two calls
 * at once) or that was inherited through fork() runs calls on the calling thread.
 *
 * LQ_ERR_ARG (a count out of range, half an allocator), LQ_ERR_UNSUPPORTED (level),
 * LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_ctx_create(const lq_ctx_opts *opts, lq_ctx **ctx, lq_error *error);

/* Stop the threads and free the context.  NULL is allowed.  No call may be running. */
LQ_API void lq_ctx_destroy(lq_ctx *ctx);

/*
 * Build now what encoding some formats (IQ1_*, IQ2_*, IQ3_*) needs and would otherwise
 * build when one of them is first used: tables of 1.5 MiB, some tens of milliseconds.
 * Afterwards encoding allocates nothing in the context.  May be called by several threads,
 * and again.  LQ_ERR_ARG (NULL), LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_ctx_prepare(const lq_ctx *ctx);

/* Level in use (never LQ_LEVEL_BEST); 0 for NULL. */
LQ_API lq_level lq_ctx_level(const lq_ctx *ctx);

/* Threads that a call may use, the caller included; 0 for NULL. */
LQ_API uint32_t lq_ctx_threads(const lq_ctx *ctx);

/*
 * Run task(arg, i) once for each i in [0, count) on the context's threads, or parallel_for,
 * and return when all are done.  For work between the library's calls: a program needs no
 * second set of threads.  Tasks that call back into the library run those calls alone.
 * LQ_ERR_ARG (NULL; 'arg' may be).
 */
LQ_API lq_status lq_parallel(const lq_ctx *ctx, size_t count,
                             void (*task)(void *arg, size_t index), void *arg);

/* ---------------------------------------------------------------- progress */

/*
 * Called on the calling thread now and then during long operations: 'done' of 'total'
 * units (bytes or weights), working on 'what' (never NULL).  Return 0 to go on,
 * anything else to stop: the operation then returns LQ_ERR_CANCELLED and leaves no
 * output behind.  The callback must not use the handles of the running operation.
 */
typedef struct lq_progress {
    int  (*report)(void *user, uint64_t done, uint64_t total, const char *what);
    void  *user;
} lq_progress;

#ifdef __cplusplus
}
#endif
#endif
