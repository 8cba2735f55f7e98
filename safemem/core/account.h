/* What entries cost a memory budget: a charge for each entry, beside it in an array, and the account that the caches of a budget share.

   See _account.py for what it is for. A charge counts while the cache keeps its entry's value alive; one that has no `uses` yet is of an
   entry that came without having been measured. Nothing here runs anybody's code but account_react() and measure_item()'s slow way. */

#ifndef SAFEMEM_ACCOUNT_H
#define SAFEMEM_ACCOUNT_H

#include "keys.h"
#include "weak.h"

/* -- changes, with the cache locked ------------------------------------------------------------------------------------------------- */

static inline void
account_add(Core *self, int64_t bytes)
{
    self->charged += bytes;
    (void)ATOMIC_ADD(&self->account->used, bytes);
}

/* Charge an entry that came, or got another value, with what was measured; `counted`: how much of its charge counts now. */
static NOINLINE void
charge_entry(Core *self, uint32_t number, int64_t bytes, double cost, int measured, int fresh, int64_t counted)
{
    Charge *charge = &self->charges[number];
    int64_t counts = self->entries[number].weak ? 0 : bytes;
    charge->bytes = bytes;
    charge->worth = (float)(cost / (double)(bytes > 0 ? bytes : 1));
    charge->since = self->account->clock;
    charge->uses = !measured ? 0 : fresh ? 1 : charge->uses + (charge->uses < UINT32_MAX);
    account_add(self, counts - counted);
}

static inline void
note_use(Core *self, uint32_t number)
{
    if (UNLIKELY(self->accounted)) {
        Charge *charge = &self->charges[number];
        charge->uses += charge->uses != 0 && charge->uses < UINT32_MAX;
        charge->since = self->account->clock;
    }
}

/* What counts of an entry. */
static inline int64_t
counted_bytes(Core *self, uint32_t number)
{
    return self->accounted && !self->entries[number].weak ? self->charges[number].bytes : 0;
}

/* An entry held strongly goes, or is held weakly from now on (-1); or the other way round (1). */
static inline void
recount(Core *self, uint32_t number, int sign)
{
    if (UNLIKELY(self->accounted)) {
        account_add(self, sign * self->charges[number].bytes);
    }
}

/* Be charged to nobody from now on. No lock is held. */
static void
account_leave(Core *self)
{
    PyObject *account = NULL, *function = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->accounted) {
        account_add(self, -self->charged);
        STORE_RELAXED(&self->accounted, 0);
        account = (PyObject *)self->account;
        function = self->measure;
        self->account = NULL;
        self->measure = NULL;
        PyMem_Free(self->charges);
        self->charges = NULL;
    }
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(account);
    Py_XDECREF(function);
}

/* -- measuring: calls out ------------------------------------------------------------------------------------------------------------ */

/* The bytes of an object that consists of nothing else, -1 for all others. */
static inline int64_t
plain_bytes(PyObject *object)
{
    if (PyBytes_CheckExact(object)) {
        return (int64_t)(offsetof(PyBytesObject, ob_sval) + 1) + (int64_t)PyBytes_GET_SIZE(object);
    }
    if (PyUnicode_CheckExact(object)) { /* one that is not ASCII may have got its UTF-8 beside it */
        return PyUnicode_IS_COMPACT_ASCII(object) ? (int64_t)sizeof(PyASCIIObject) + (int64_t)PyUnicode_GET_LENGTH(object) + 1 : -1;
    }
    if (PyFloat_CheckExact(object)) {
        return (int64_t)sizeof(PyFloatObject);
    }
    if (PyLong_CheckExact(object) && small_integer(object) > 0) {
        return (int64_t)Py_TYPE(object)->tp_basicsize + (int64_t)sizeof(digit);
    }
    return -1;
}

/* What the collector puts in front of an object. */
#ifdef Py_GIL_DISABLED
#define COLLECTOR_HEADER 0
#else
#define COLLECTOR_HEADER (2 * sizeof(void *))
#endif

/* The same for keys, which are often tuples of such objects. */
static int64_t
plain_key_bytes(PyObject *key)
{
    if (!PyTuple_CheckExact(key)) {
        return plain_bytes(key);
    }
    int64_t sum = (int64_t)(offsetof(PyTupleObject, ob_item) + COLLECTOR_HEADER) + (int64_t)sizeof(PyObject *) * (int64_t)PyTuple_GET_SIZE(key);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
        int64_t bytes = plain_bytes(PyTuple_GET_ITEM(key, i));
        if (bytes < 0) {
            return -1;
        }
        sum += bytes;
    }
    return sum;
}

/* What an entry of this key and value costs; -1 with an exception set. */
static NOINLINE int
measure(Core *self, PyObject *key, PyObject *value, int64_t *bytes, double *cost)
{
    PyObject *function;
    int64_t own;
    double common;
    Py_BEGIN_CRITICAL_SECTION(self);
    function = Py_XNewRef(self->measure);
    own = self->own_bytes;
    common = self->common_cost;
    Py_END_CRITICAL_SECTION();
    if (function == NULL) { /* detached meanwhile */
        *bytes = 0;
        *cost = 0.0;
        return 0;
    }
    int result = 0;
    int64_t of_value = common >= 0.0 ? plain_bytes(value) : -1, of_key = of_value < 0 ? -1 : plain_key_bytes(key);
    if (of_key >= 0) {
        *bytes = own + of_key + of_value;
        *cost = common;
    }
    else {
        PyObject *stack[2] = {key, value};
        PyObject *both = PyObject_Vectorcall(function, stack, 2, NULL);
        long long measured = 0;
        result = both == NULL || !PyArg_ParseTuple(both, "Ld;measure", &measured, cost) ? -1 : 0;
        *bytes = (int64_t)measured;
        Py_XDECREF(both);
    }
    Py_DECREF(function);
    return result;
}

/* -- reacting: calls out --------------------------------------------------------------------------------------------------------------- */

/* Whether more is used than the alarm is set to; the cache is locked. */
static inline int
is_alarmed(Core *self)
{
    return UNLIKELY(self->accounted) && LOAD_RELAXED(&self->account->used) > LOAD_RELAXED(&self->account->alarm);
}

/* Have the budget do what is to be done; `result` is the operation's, which an exception in here (an interrupt) overrules. */
static NOINLINE int
account_react(Core *self, int result)
{
    PyObject *account, *type, *value, *traceback;
    Py_BEGIN_CRITICAL_SECTION(self);
    account = Py_XNewRef((PyObject *)self->account);
    Py_END_CRITICAL_SECTION();
    if (account == NULL) {
        return result;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *done = PyObject_CallMethodNoArgs(account, self->state->str_react);
    Py_XDECREF(done);
    Py_DECREF(account);
    if (type != NULL) {
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
        return -1;
    }
    return done == NULL ? -1 : result;
}

/* Measure what came in without having been measured, because the budget came meanwhile. */
static NOINLINE int
measure_late(Core *self, int result)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *done = PyObject_CallOneArg(self->state->measure_all, (PyObject *)self);
    Py_XDECREF(done);
    if (type != NULL) {
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
        return -1;
    }
    return done == NULL ? -1 : result;
}

/* What is left to do for the budget after an operation. No lock is held. */
static inline int
account_finish(Core *self, int alarmed, int late, int result)
{
    if (UNLIKELY(late)) {
        result = measure_late(self, result);
    }
    return UNLIKELY(alarmed) ? account_react(self, result) : result;
}

#endif
