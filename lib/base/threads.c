/* SPDX-License-Identifier: MIT */
/*
 * lib/base/threads.c - a small pthread pool that runs index ranges
 *
 * One job at a time.  A job is published by bumping 'generation'; workers, and the
 * caller, take indices from an atomic counter until none is left, so a disturbed core
 * simply takes fewer.  Idle workers spin for 'spin_us', then sleep on a condition
 * variable; the caller signals it only when somebody sleeps.
 *
 * 'active' counts workers inside the current job.  The caller returns when no worker is
 * active and all indices are taken, so a worker that wakes late finds an empty job.
 *
 * A system may leave a new or woken thread on the processor of whoever woke it for many
 * milliseconds.  A worker that finds itself beside its caller therefore stays away from that
 * processor from then on, until they meet again.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1   /* processors of a thread */
#endif

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/threads.h"

#if defined(__linux__)
typedef cpu_set_t cpus;
#else
typedef int cpus;
#endif

/* What is polled, the job, and what is counted lie in cache lines of their own. */
struct lqi_pool {
    lq_allocator    allocator;
    pthread_t      *workers;
    uint32_t        worker_count;
    uint64_t        spin_ns;
    pid_t           owner;         /* a forked child has the pool but not its threads */
    cpus            allowed;       /* of whoever made the pool */
    pthread_mutex_t mutex;
    pthread_cond_t  wake;
    uint32_t        sleepers;      /* under mutex */
    atomic_flag     busy;
    atomic_int      quit;
    _Alignas(LQI_ALIGN) atomic_uint generation;
    _Alignas(LQI_ALIGN) _Atomic(lqi_task *) task;
    _Atomic(void *)  arg;
    atomic_size_t   count;
    atomic_int      home;          /* processor of the caller, -1: unknown */
    _Alignas(LQI_ALIGN) atomic_size_t next;
    _Alignas(LQI_ALIGN) atomic_uint active;
};

#if defined(__linux__)

static int allowed_cpus(cpus *set)
{
    return sched_getaffinity(0, sizeof *set, set) == 0;
}

static int this_cpu(void)
{
    return sched_getcpu();
}

/* Leave the caller's processor, if we are on it. */
static void avoid(const cpus *allowed, int home)
{
    cpus others = *allowed;

    if (home < 0 || home >= CPU_SETSIZE || sched_getcpu() != home)
        return;
    CPU_CLR(home, &others);
    if (CPU_COUNT(&others))
        sched_setaffinity(0, sizeof others, &others);
}

#else

static int allowed_cpus(cpus *set)
{
    *set = 0;
    return 1;
}

static int this_cpu(void)
{
    return -1;
}

static void avoid(const cpus *allowed, int home)
{
    (void)allowed;
    (void)home;
}

#endif

static void take_indices(lqi_pool *pool)
{
    lqi_task *task = atomic_load(&pool->task);
    void *arg = atomic_load(&pool->arg);
    size_t count = atomic_load(&pool->count), i;

    while ((i = atomic_fetch_add(&pool->next, 1)) < count)
        task(arg, i);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Wait for a generation other than 'seen': first spinning, then asleep. */
static unsigned wait_for_job(lqi_pool *pool, unsigned seen)
{
    uint64_t start = pool->spin_ns ? now_ns() : 0;

    while (pool->spin_ns && now_ns() - start < pool->spin_ns) {
        for (int i = 0; i < 32; i++) {
            unsigned generation = atomic_load(&pool->generation);
            if (generation != seen)
                return generation;
            relax();
        }
    }
    pthread_mutex_lock(&pool->mutex);
    pool->sleepers++;
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    pool->sleepers--;
    pthread_mutex_unlock(&pool->mutex);
    return atomic_load(&pool->generation);
}

static void *worker(void *arg)
{
    lqi_pool *pool = arg;
    unsigned seen = 0;

    while (1) {
        seen = wait_for_job(pool, seen);
        if (atomic_load(&pool->quit))
            return NULL;
        avoid(&pool->allowed, atomic_load(&pool->home));
        /* Announce first, then look whether the job is still open: the caller closes it
         * before it waits for 'active' to fall to zero. */
        atomic_fetch_add(&pool->active, 1);
        if ((seen & 1) && atomic_load(&pool->generation) == seen)
            take_indices(pool);
        atomic_fetch_sub(&pool->active, 1);
    }
}

/* Odd generations are open jobs, even ones closed. */
static void publish(lqi_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->generation, 1);
    if (pool->sleepers)
        pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

lqi_pool *lqi_pool_create(const lq_allocator *allocator, uint32_t threads, uint32_t spin_us)
{
    lqi_pool *pool = lqi_alloc_zero(allocator, sizeof *pool);

    if (!pool)
        return NULL;
    pool->allocator = *allocator;
    pool->spin_ns = (uint64_t)spin_us * 1000;
    pool->owner = getpid();
    atomic_store(&pool->home, -1);
    if (!allowed_cpus(&pool->allowed))
        memset(&pool->allowed, 0, sizeof pool->allowed);
    pool->workers = lqi_alloc(allocator, (threads - 1) * sizeof *pool->workers);
    if (!pool->workers) {
        lqi_free(allocator, pool);
        return NULL;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    atomic_flag_clear(&pool->busy);
    while (pool->worker_count < threads - 1 &&
           pthread_create(&pool->workers[pool->worker_count], NULL, worker, pool) == 0)
        pool->worker_count++;
    return pool;
}

void lqi_pool_destroy(lqi_pool *pool)
{
    if (!pool)
        return;
    if (getpid() == pool->owner) {
        atomic_store(&pool->quit, 1);
        publish(pool);
        for (uint32_t i = 0; i < pool->worker_count; i++)
            pthread_join(pool->workers[i], NULL);
        pthread_cond_destroy(&pool->wake);      /* in a forked child it would wait for */
        pthread_mutex_destroy(&pool->mutex);    /* sleepers that are not there */
    }
    lqi_free(&pool->allocator, pool->workers);
    lqi_free(&pool->allocator, pool);
}

uint32_t lqi_pool_threads(const lqi_pool *pool)
{
    return pool->worker_count + 1;
}

void lqi_pool_run(lqi_pool *pool, size_t count, lqi_task *task, void *arg)
{
    if (count < 2 || pool->worker_count == 0 || getpid() != pool->owner ||
        atomic_flag_test_and_set(&pool->busy)) {
        for (size_t i = 0; i < count; i++)
            task(arg, i);
        return;
    }
    atomic_store(&pool->task, task);
    atomic_store(&pool->arg, arg);
    atomic_store(&pool->count, count);
    atomic_store(&pool->home, this_cpu());
    atomic_store(&pool->next, 0);
    publish(pool);                            /* open: odd */
    take_indices(pool);
    atomic_fetch_add(&pool->generation, 1);   /* close: even */
    for (unsigned i = 1; atomic_load(&pool->active); i++)
        i % 4096 ? relax() : (void)sched_yield();
    atomic_flag_clear(&pool->busy);
}
