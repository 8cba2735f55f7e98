/* The private side of the seam: bounds, loads, counters; what the public classes build on. */

#ifndef SAFEMEM_PRIVATE_H
#define SAFEMEM_PRIVATE_H

#include "setup.h"
#include "walk.h"

/* -- bounds --------------------------------------------------------------------------------------------------------------------------- */

static PyObject *
current_size(Core *self)
{
    PyObject *size;
    Py_BEGIN_CRITICAL_SECTION(self);
    size = self->weighs ? Py_XNewRef(total_weight(self)) : PyLong_FromUnsignedLong(self->weak ? self->strong : self->count);
    Py_END_CRITICAL_SECTION();
    return size;
}

static PyObject *
core_currsize(PyObject *op, void *Py_UNUSED(closure))
{
    Core *self = (Core *)op;
    if (bury_dead(self) < 0 || (self->timed && expire_now(self) < 0)) {
        return NULL;
    }
    return current_size(self);
}

static PyObject *
core_strong_count(PyObject *op, PyObject *Py_UNUSED(none))
{
    Core *self = (Core *)op;
    if (bury_dead(self) < 0 || (self->timed && expire_now(self) < 0)) {
        return NULL;
    }
    uint32_t strong;
    Py_BEGIN_CRITICAL_SECTION(self);
    strong = self->strong;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromUnsignedLong(strong);
}

static PyObject *
core_lacks_room(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_lacks_room() takes key and weight");
        return NULL;
    }
    int64_t hash = hash_key(self, args[0]);
    PyObject *sum = hash < 0 ? NULL : exact_number(Py_NewRef(args[1]));
    if (sum == NULL) {
        return NULL;
    }
    int lacks = -1;
    Py_BEGIN_CRITICAL_SECTION(self);
    uint32_t number = find(self, args[0], (uint32_t)hash);
    if (number != FAILED) {
        PyObject *size = self->weighs ? Py_XNewRef(total_weight(self)) : PyLong_FromUnsignedLong(self->count);
        Py_SETREF(sum, size == NULL ? NULL : PyNumber_Add(size, sum));
        Py_XDECREF(size);
        if (sum != NULL && number != 0) {
            Py_SETREF(sum, PyNumber_Subtract(sum, self->weighs ? self->weights[number] : self->state->one));
        }
        if (sum != NULL) {
            lacks = PyObject_RichCompareBool(sum, self->bound, Py_GT);
        }
    }
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(sum);
    return lacks < 0 ? NULL : PyBool_FromLong(lacks);
}

static PyObject *
core_resize(PyObject *op, PyObject *maxsize)
{
    Core *self = (Core *)op;
    Moment now = NO_MOMENT;
    PyObject *bound = exact_number(Py_NewRef(maxsize));
    uint64_t limit = 0;
    if (bound == NULL || limit_of(bound, &limit) < 0 || time_now(self, &now) < 0) {
        Py_XDECREF(bound);
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    int result;
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(self);
    old = self->maxsize;
    self->maxsize = Py_NewRef(maxsize);
    Py_XSETREF(self->bound, bound); /* an int or a float */
    self->limit = limit;
    simplify(self);
    result = settle(self, &now, &gone);
    if (result == 0) {
        result = trim(self, &gone);
    }
    result = result < 0 ? -1 : shrink(self);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    moment_release(&now);
    return gone_finish(self, &gone, result) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
core_evict(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_evict() takes limit and cause");
        return NULL;
    }
    int overflow;
    long long most = PyLong_AsLongLongAndOverflow(args[0], &overflow);
    if (most == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (overflow) {
        most = overflow > 0 ? LLONG_MAX : 0;
    }
    Moment now = NO_MOMENT;
    if (time_now(self, &now) < 0) {
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    long long evicted = 0;
    int result;
    Py_BEGIN_CRITICAL_SECTION(self);
    result = settle(self, &now, &gone);
    while (result == 0 && evicted < most && self->weak && self->coldest != 0) {
        int done = let_off(self, self->coldest, args[1], &gone);
        result = done < 0 ? -1 : 0;
        evicted += done > 0;
    }
    while (result == 0 && evicted < most && !self->weak && self->head != 0) {
        result = take_entry(self, self->head, args[1], &gone);
        evicted += result == 0;
        self->evictions += result == 0;
    }
    result = result < 0 ? -1 : shrink(self);
    Py_END_CRITICAL_SECTION();
    moment_release(&now);
    return gone_finish(self, &gone, result) < 0 ? NULL : PyLong_FromLongLong(evicted);
}

/* -- loading a missing value: see the pure core -------------------------------------------------------------------------------------- */

static int
token_add(PyObject *token, long change, long *left)
{
    if (!PyList_CheckExact(token) || PyList_GET_SIZE(token) != 1) {
        PyErr_SetString(PyExc_TypeError, "a load's token is a list of one number");
        return -1;
    }
    long users = PyLong_AsLong(PyList_GET_ITEM(token, 0));
    if (users == -1 && PyErr_Occurred()) {
        return -1;
    }
    *left = users + change;
    PyObject *number = PyLong_FromLong(*left);
    return number == NULL ? -1 : PyList_SetItem(token, 0, number);
}

static PyObject *
core_begin_load(PyObject *op, PyObject *key)
{
    Core *self = (Core *)op;
    PyObject *fresh = Py_BuildValue("[i]", 0), *token = NULL;
    if (fresh == NULL) {
        return NULL;
    }
    long users;
    Py_BEGIN_CRITICAL_SECTION(self);
    PyObject *loading = loading_of(self);
    token = loading == NULL ? NULL : PyObject_CallMethodObjArgs(loading, self->state->str_setdefault, key, fresh, NULL);
    Py_XDECREF(loading);
    if (token != NULL && token_add(token, 1, &users) < 0) {
        Py_CLEAR(token);
    }
    simplify(self);
    Py_END_CRITICAL_SECTION();
    Py_DECREF(fresh);
    return token;
}

static int
abort_load(Core *self, PyObject *key, PyObject *token)
{
    int result;
    long left = 1;
    Py_BEGIN_CRITICAL_SECTION(self);
    result = token_add(token, -1, &left);
    if (result == 0 && left <= 0 && self->loading != NULL && PyDict_GET_SIZE(self->loading) > 0) {
        PyObject *loading = Py_NewRef(self->loading);
        PyObject *current = PyDict_GetItemWithError(loading, key);
        if (current == token) {
            result = forget_load(self, key);
        }
        else if (current == NULL && PyErr_Occurred()) {
            result = -1;
        }
        Py_DECREF(loading);
    }
    simplify(self);
    Py_END_CRITICAL_SECTION();
    return result;
}

static PyObject *
core_abort_load(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_abort_load() takes key and token");
        return NULL;
    }
    return abort_load((Core *)op, args[0], args[1]) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
core_finish_load(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "_finish_load() takes key, value and token");
        return NULL;
    }
    int64_t hash = hash_key(self, args[0]);
    PyObject *there = hash < 0 ? NULL : store_if_absent(self, args[0], args[1], (uint32_t)hash, args[2]);
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    int result = abort_load(self, args[0], args[2]);
    if (type != NULL) {
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    else if (result < 0) {
        Py_CLEAR(there);
    }
    return there;
}

/* -- counters -------------------------------------------------------------------------------------------------------------------------- */

static PyObject *
core_counters(PyObject *op, PyObject *Py_UNUSED(none))
{
    Core *self = (Core *)op;
    unsigned long long hits, misses, loads, load_failures, evictions, expirations, collections, revived;
    unsigned int strong;
    double load_seconds;
    if (bury_dead(self) < 0) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(self);
    hits = self->hits;
    misses = self->misses;
    loads = self->loads;
    load_failures = self->load_failures;
    load_seconds = self->load_seconds;
    evictions = self->evictions;
    expirations = self->expirations;
    collections = self->collections;
    revived = self->revived;
    strong = self->strong;
    Py_END_CRITICAL_SECTION();
    PyObject *counters = Py_BuildValue("{sKsKsKsKsdsKsKsK}", "hits", hits, "misses", misses, "loads", loads, "load_failures", load_failures,
                                       "load_seconds", load_seconds, "evictions", evictions, "expirations", expirations, "collections",
                                       collections);
    PyObject *more = counters != NULL && self->weak ? Py_BuildValue("{sIsK}", "strong", strong, "revived", revived) : NULL;
    if (counters != NULL && self->weak && (more == NULL || PyDict_Update(counters, more) < 0)) {
        Py_CLEAR(counters);
    }
    Py_XDECREF(more);
    return counters;
}

static PyObject *
core_reset_counters(PyObject *op, PyObject *Py_UNUSED(none))
{
    Core *self = (Core *)op;
    Py_BEGIN_CRITICAL_SECTION(self);
    self->hits = self->misses = self->loads = self->load_failures = self->evictions = self->expirations = self->collections = self->revived = 0;
    self->load_seconds = 0.0;
    Py_END_CRITICAL_SECTION();
    return Py_NewRef(Py_None);
}

static PyObject *
core_count_load(PyObject *op, PyObject *args, PyObject *names)
{
    Core *self = (Core *)op;
    static char *keywords[] = {"seconds", "failed", NULL};
    double seconds;
    int failed;
    if (!PyArg_ParseTupleAndKeywords(args, names, "d$p:_count_load", keywords, &seconds, &failed)) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(self);
    self->load_seconds += seconds;
    self->load_failures += failed != 0;
    self->loads += failed == 0;
    Py_END_CRITICAL_SECTION();
    return Py_NewRef(Py_None);
}

/* There is no bookkeeping that waits. */
static PyObject *
core_drain(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(none))
{
    return Py_NewRef(Py_None);
}

static PyObject *
core_count_removed(PyObject *op, PyObject *Py_UNUSED(none))
{
    unsigned long long removed;
    Py_BEGIN_CRITICAL_SECTION(op);
    removed = ((Core *)op)->removed;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromUnsignedLongLong(removed);
}

/* -- attributes ------------------------------------------------------------------------------------------------------------------------ */

static PyObject *
core_maxsize(PyObject *op, void *Py_UNUSED(closure))
{
    Core *self = (Core *)op;
    PyObject *maxsize;
    Py_BEGIN_CRITICAL_SECTION(self);
    maxsize = Py_NewRef(self->maxsize);
    Py_END_CRITICAL_SECTION();
    return maxsize;
}

static PyObject *
core_weighs(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(LOAD_RELAXED(&((Core *)op)->weighs));
}

static PyObject *
core_hooked(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(LOAD_RELAXED(&((Core *)op)->hooked));
}

static PyObject *
core_on_remove(PyObject *op, void *Py_UNUSED(closure))
{
    Core *self = (Core *)op;
    PyObject *on_remove;
    Py_BEGIN_CRITICAL_SECTION(self);
    on_remove = Py_NewRef(self->on_remove == NULL ? Py_None : self->on_remove);
    Py_END_CRITICAL_SECTION();
    return on_remove;
}

static PyObject *
core_making_room(PyObject *op, void *Py_UNUSED(closure))
{
    Core *self = (Core *)op;
    PyObject *making_room;
    Py_BEGIN_CRITICAL_SECTION(self);
    making_room = Py_NewRef(self->making_room == NULL ? Py_None : self->making_room);
    Py_END_CRITICAL_SECTION();
    return making_room;
}

#endif
