/* What this file smooths over: differences between the versions and builds of CPython. */

#ifndef SAFEMEM_COMPAT_H
#define SAFEMEM_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#if defined(__GNUC__) || defined(__clang__)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#define LOAD_RELAXED(place) __atomic_load_n(place, __ATOMIC_RELAXED)
#define STORE_RELAXED(place, value) __atomic_store_n(place, value, __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define STORE_RELEASE(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#define SWAP(place, value) __atomic_exchange_n(place, value, __ATOMIC_ACQ_REL)
#define ATOMIC_ADD(place, number) __atomic_fetch_add(place, number, __ATOMIC_RELAXED)
#define COMPARE_AND_SWAP(place, expected, value) __atomic_compare_exchange_n(place, expected, value, 1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#else
#define LIKELY(condition) (condition)
#define UNLIKELY(condition) (condition)
#define NOINLINE
#define ALWAYS_INLINE inline
#define PREFETCH(address) ((void)(address))
#define LOAD_RELAXED(place) (*(place))
#define STORE_RELAXED(place, value) (*(place) = (value))
#define LOAD_ACQUIRE(place) (*(place))
#define STORE_RELEASE(place, value) (*(place) = (value))
#define ATOMIC_ADD(place, number) _InterlockedExchangeAdd64((volatile long long *)(place), number)
#define SWAP(place, value) _InterlockedExchangePointer((void *volatile *)(place), value)
static inline int
compare_and_swap(void *volatile *place, void **expected, void *value)
{
    void *found = _InterlockedCompareExchangePointer(place, value, *expected);
    int swapped = found == *expected;
    *expected = found;
    return swapped;
}
#define COMPARE_AND_SWAP(place, expected, value) compare_and_swap((void *volatile *)(place), (void **)(expected), value)
#endif

/* Where there is a GIL it is the lock; without one every operation holds the object's own. Neither survives a call-out. */
#ifndef Py_BEGIN_CRITICAL_SECTION
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#define Py_BEGIN_CRITICAL_SECTION2(one, other) {
#define Py_END_CRITICAL_SECTION2() }
#endif

/* Until 3.11 the collector runs inside of allocations, and with it anybody's code; later only between the instructions of Python. */
#if PY_VERSION_HEX < 0x030C0000
#define PAUSE_COLLECTOR() int collecting = PyGC_Disable()
#define RESUME_COLLECTOR()  \
    do {                    \
        if (collecting) {   \
            PyGC_Enable();  \
        }                   \
    } while (0)
#else
#define PAUSE_COLLECTOR() ((void)0)
#define RESUME_COLLECTOR() ((void)0)
#endif

/* KeyError(key); PyErr_SetObject would take a tuple for the arguments of the exception. */
static NOINLINE void
raise_key_error(PyObject *key)
{
    PyObject *error = PyObject_CallOneArg(PyExc_KeyError, key);
    if (error != NULL) {
        PyErr_SetObject(PyExc_KeyError, error);
        Py_DECREF(error);
    }
}

/* Whether the collector may ever have to look at an object: as dict does it, a tuple that it has let off stays let off. */
static inline int
may_be_tracked(PyObject *object)
{
    return PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HAVE_GC) && (!PyTuple_CheckExact(object) || PyObject_GC_IsTracked(object));
}

#endif
