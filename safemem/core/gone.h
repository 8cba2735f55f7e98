/* What an operation removed: kept until the table is whole and nothing is locked, then told and let go of. */

#ifndef SAFEMEM_GONE_H
#define SAFEMEM_GONE_H

#include "table.h"

typedef struct {
    PyObject *key;
    PyObject *value;
    PyObject *extra; /* a deadline or a weight to be let go of with it, or NULL */
    PyObject *cause; /* borrowed from the module or the caller; NULL: nobody is told */
} Victim;

typedef struct {
    Victim *victims;
    Py_ssize_t count;
    Py_ssize_t capacity;
    Victim first[2];
} Gone;

static inline void
gone_init(Gone *gone)
{
    gone->victims = gone->first;
    gone->count = 0;
    gone->capacity = 2;
}

/* Make sure that one more victim can be added, so that removing it cannot fail half-way. */
static inline int
gone_reserve(Gone *gone)
{
    if (LIKELY(gone->count < gone->capacity)) {
        return 0;
    }
    size_t capacity = 2 * (size_t)gone->capacity;
    Victim *victims = PyMem_Malloc(capacity * sizeof(Victim));
    if (victims == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(victims, gone->victims, (size_t)gone->count * sizeof(Victim));
    if (gone->victims != gone->first) {
        PyMem_Free(gone->victims);
    }
    gone->victims = victims;
    gone->capacity = (Py_ssize_t)capacity;
    return 0;
}

/* Add a victim, after gone_reserve(); takes over the references to key and value. */
static inline Victim *
gone_add(Gone *gone, PyObject *key, PyObject *value, PyObject *cause)
{
    Victim *victim = &gone->victims[gone->count++];
    victim->key = key;
    victim->value = value;
    victim->extra = NULL;
    victim->cause = cause;
    return victim;
}

static NOINLINE void
gone_release(Gone *gone)
{
    for (Py_ssize_t i = 0; i < gone->count; i++) {
        Victim victim = gone->victims[i];
        Py_XDECREF(victim.key);
        Py_XDECREF(victim.value);
        Py_XDECREF(victim.extra);
    }
    if (gone->victims != gone->first) {
        PyMem_Free(gone->victims);
    }
}

/* A list of `(key, value, cause)` of the victims to be told of, or of `(key, value)` of those of one cause. */
static PyObject *
gone_list(Gone *gone, PyObject *only)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i < gone->count; i++) {
        Victim *victim = &gone->victims[i];
        if (victim->cause == NULL || (only != NULL && victim->cause != only)) {
            continue;
        }
        PyObject *item = only != NULL ? PyTuple_Pack(2, victim->key, victim->value) : PyTuple_Pack(3, victim->key, victim->value, victim->cause);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

/* Call on_remove for a list of `(key, value, cause)`. */
static int
tell_list(Core *self, PyObject *on_remove, PyObject *telling, PyObject *list)
{
    PyObject *told = PyObject_CallFunctionObjArgs(self->state->tell, telling, on_remove, list, NULL);
    Py_XDECREF(told);
    return told == NULL ? -1 : 0;
}

static NOINLINE int
gone_tell(Core *self, Gone *gone)
{
    PyObject *on_remove, *telling;
    Py_BEGIN_CRITICAL_SECTION(self);
    on_remove = Py_XNewRef(self->on_remove);
    telling = Py_XNewRef(self->telling);
    Py_END_CRITICAL_SECTION();
    int result = 0;
    if (on_remove != NULL && telling != NULL) {
        /* What went wrong before comes first, but everybody is told. */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        PyObject *list = gone_list(gone, NULL);
        gone_release(gone);
        gone_init(gone);
        result = list == NULL ? -1 : tell_list(self, on_remove, telling, list);
        Py_XDECREF(list);
        if (type != NULL) {
            if (result < 0) {
                PyErr_Clear();
            }
            PyErr_Restore(type, value, traceback);
        }
    }
    else {
        gone_release(gone);
        gone_init(gone);
    }
    Py_XDECREF(on_remove);
    Py_XDECREF(telling);
    return result;
}

/* Tell and let go of what an operation removed; returns its result, or -1 if telling raised. No lock is held. */
static inline int
gone_finish(Core *self, Gone *gone, int result)
{
    if (gone->count == 0) {
        return result;
    }
    return gone_tell(self, gone) < 0 ? -1 : result;
}

#endif
