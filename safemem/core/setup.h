/* Making, configuring, visiting and freeing a cache. */

#ifndef SAFEMEM_SETUP_H
#define SAFEMEM_SETUP_H

#include "timed.h"

/* -- configuring -------------------------------------------------------------------------------------------------------------------- */

#define NO_LIMIT ((uint64_t)1 << 62)

/* How many entries a bound allows. */
static int
limit_of(PyObject *bound, uint64_t *limit)
{
    if (PyFloat_Check(bound)) {
        double most = PyFloat_AS_DOUBLE(bound);
        *limit = !(most > 0) ? 0 : most >= (double)NO_LIMIT ? NO_LIMIT : (uint64_t)most;
        return 0;
    }
    int overflow;
    long long most = PyLong_AsLongLongAndOverflow(bound, &overflow);
    if (most == -1 && PyErr_Occurred()) {
        return -1;
    }
    *limit = overflow > 0 ? NO_LIMIT : overflow < 0 || most < 0 ? 0 : (uint64_t)most > NO_LIMIT ? NO_LIMIT : (uint64_t)most;
    return 0;
}

/* What to add to a reading that is a float, if that can be known once and for all. */
static int
learn_step(PyObject *step, double *seconds, int *known)
{
    *known = 0;
    if (PyFloat_CheckExact(step) || PyLong_CheckExact(step)) {
        *seconds = PyFloat_AsDouble(step);
    }
    else if (strcmp(Py_TYPE(step)->tp_name, "datetime.timedelta") == 0) {
        PyObject *total = PyObject_CallMethod(step, "total_seconds", NULL);
        *seconds = total == NULL ? -1.0 : PyFloat_AsDouble(total);
        Py_XDECREF(total);
    }
    else {
        return 0;
    }
    if (*seconds == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* the caller is told when it is added to something */
        return 0;
    }
    *known = 1;
    return 0;
}

/* Whether the clock is one whose `_now` can be read where it is. */
static PyObject **
now_slot_of(Core *self, PyObject *clock)
{
    if (clock == NULL) {
        return &self->monotonic;
    }
    return (PyObject *)Py_TYPE(clock) == self->state->clock_type ? (PyObject **)((char *)clock + self->state->now_offset) : NULL;
}

typedef struct {
    PyObject *maxsize;
    PyObject *on_remove;
    PyObject *clock;
    PyObject *step;
    PyObject *ttu;
    int weighs;
    int hooked;
    int watched;
    int strict;
} Options;

/* Make the cache empty and set what it is to do. */
static int
configure(Core *self, Options *options)
{
    PyObject *bound = exact_number(Py_NewRef(options->maxsize));
    uint64_t limit = 0;
    double seconds = Py_HUGE_VAL;
    int known = 1;
    if (options->step == Py_None) {
        options->step = NULL;
    }
    if (bound == NULL || limit_of(bound, &limit) < 0 || (options->step != NULL && learn_step(options->step, &seconds, &known) < 0)) {
        Py_XDECREF(bound);
        return -1;
    }
    PyObject *making_room = PySet_New(NULL), *telling = PyDict_New(), *loading = PyDict_New();
    if (making_room == NULL || telling == NULL || loading == NULL) {
        Py_DECREF(bound);
        Py_XDECREF(making_room);
        Py_XDECREF(telling);
        Py_XDECREF(loading);
        return -1;
    }
    Arrays arrays;
    PyObject *old[9];
    account_leave(self);
    Py_BEGIN_CRITICAL_SECTION(self);
    table_take(self, &arrays);
    old[0] = self->maxsize, old[1] = self->bound, old[2] = self->on_remove, old[3] = self->making_room, old[4] = self->telling;
    old[5] = self->loading, old[6] = self->clock, old[7] = self->step, old[8] = self->ttu;
    self->maxsize = Py_NewRef(options->maxsize);
    self->bound = bound;
    self->limit = limit;
    self->on_remove = options->on_remove == Py_None ? NULL : Py_XNewRef(options->on_remove);
    self->making_room = making_room;
    self->telling = telling;
    self->loading = loading;
    self->clock = options->clock == Py_None ? NULL : Py_XNewRef(options->clock);
    self->now_slot = now_slot_of(self, self->clock);
    self->step = Py_XNewRef(options->step);
    self->step_seconds = seconds;
    self->step_known = known;
    self->ttu = Py_XNewRef(options->ttu);
    STORE_RELAXED(&self->weighs, options->weighs != 0);
    STORE_RELAXED(&self->hooked, options->hooked != 0);
    STORE_RELAXED(&self->watched, options->watched != 0);
    if (self->weak) {
        self->strict = options->strict != 0;
        self->timed = options->step != NULL;
    }
    self->hits = self->misses = self->loads = self->load_failures = self->evictions = self->expirations = self->removed = 0;
    self->collections = self->revived = 0;
    self->load_seconds = 0.0;
    simplify(self);
    Py_END_CRITICAL_SECTION();
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
        Py_XDECREF(old[i]);
    }
    arrays_release(&arrays);
    return 0;
}

static PyObject *
core_configure(PyObject *op, PyObject *args, PyObject *names)
{
    static char *keywords[] = {"maxsize", "weighs", "on_remove", "hooked", "clock", "step", "watched", "ttu", "strict", NULL};
    Options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, names, "|$OpOpOOpOp:_configure", keywords, &options.maxsize, &options.weighs,
                                     &options.on_remove, &options.hooked, &options.clock, &options.step, &options.watched,
                                     &options.ttu, &options.strict)) {
        return NULL;
    }
    Core *self = (Core *)op;
    if (options.maxsize == NULL || PyBool_Check(options.maxsize) || !(PyLong_Check(options.maxsize) || PyFloat_Check(options.maxsize))) {
        PyErr_SetString(PyExc_TypeError, "_configure() takes maxsize, a number");
        return NULL;
    }
    if (!self->timed && !self->weak && (options.clock != NULL || options.step != NULL || options.ttu != NULL)) {
        PyErr_SetString(PyExc_TypeError, "_configure() of a core without a sense of time takes no clock");
        return NULL;
    }
    return configure(self, &options) < 0 ? NULL : Py_NewRef(Py_None);
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static struct PyModuleDef native_module;

static PyObject *
core_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(names))
{
    PyObject *module = PyType_GetModuleByDef(type, &native_module);
    if (module == NULL) {
        return NULL;
    }
    State *state = PyModule_GetState(module);
    if (state->weak_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        return NULL;
    }
    Core *self = (Core *)type->tp_alloc(type, 0); /* all zero */
    if (self == NULL) {
        return NULL;
    }
    self->module = Py_NewRef(module);
    self->state = state;
    self->seed = state->seed;
    self->index = no_slots;
    index_set(self, no_slots, 0);
    self->monotonic = state->monotonic;
    self->maxsize = Py_NewRef(state->zero); /* the collector, which may show it to anybody, knows it by now */
    self->bound = Py_NewRef(state->zero);
    self->weak = PyType_IsSubtype(type, state->weak_type) != 0;
    self->timed = !self->weak && PyType_IsSubtype(type, state->ttl_type) != 0;
    if (self->weak && (self->mailbox = mailbox_new(state)) == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    Options options = {0}; /* whole even if __init__ never runs */
    options.maxsize = state->zero;
    if (configure(self, &options) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* The collector would find out itself that an object is not of a kind that it looks at, but only after a call. */
#define VISIT_IF_COLLECTED(object)                                                                 \
    do {                                                                                           \
        if ((object) != NULL && PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HAVE_GC)) {          \
            Py_VISIT(object);                                                                      \
        }                                                                                          \
    } while (0)

static int
core_traverse(PyObject *op, visitproc visit, void *arg)
{
    Core *self = (Core *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->module);
    Py_VISIT(self->maxsize);
    Py_VISIT(self->on_remove);
    Py_VISIT(self->making_room);
    Py_VISIT(self->telling);
    Py_VISIT(self->loading);
    Py_VISIT(self->clock);
    Py_VISIT(self->step);
    Py_VISIT(self->ttu);
    Py_VISIT(self->object_heap);
    Py_VISIT((PyObject *)self->account);
    Py_VISIT(self->measure);
    if (self->objects) {
        for (uint32_t number = 1; number <= self->used; number++) {
            if (self->entries[number].key != NULL) {
                Py_VISIT(self->timing[number].object);
            }
        }
    }
    if (self->gc_keys) {
        for (uint32_t number = 1; number <= self->used; number++) {
            VISIT_IF_COLLECTED(self->entries[number].key);
        }
    }
    if (self->gc_values) {
        for (uint32_t number = 1; number <= self->used; number++) {
            PyObject *value = strong_value(&self->entries[number]); /* references to what is held weakly are no part of a cycle */
            VISIT_IF_COLLECTED(value);
        }
    }
    return 0;
}

static int
core_clear_references(PyObject *op)
{
    Core *self = (Core *)op;
    Arrays arrays;
    table_take(self, &arrays);
    arrays_release(&arrays);
    account_leave(self);
    Py_CLEAR(self->on_remove);
    Py_CLEAR(self->making_room);
    Py_CLEAR(self->telling);
    Py_CLEAR(self->loading);
    self->now_slot = &self->monotonic;
    Py_CLEAR(self->clock);
    Py_CLEAR(self->step);
    self->step_known = 1;
    self->step_seconds = Py_HUGE_VAL;
    Py_CLEAR(self->ttu);
    if (self->mailbox != NULL) {
        mailbox_close((Mailbox *)self->mailbox);
        Py_CLEAR(self->mailbox);
    }
    return 0;
}

static void
core_dealloc(PyObject *op)
{
    Core *self = (Core *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, core_dealloc)
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->state != NULL) {
        core_clear_references(op);
    }
    Py_CLEAR(self->maxsize);
    Py_CLEAR(self->bound);
    Py_CLEAR(self->size);
    Py_CLEAR(self->module);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyObject *
core_sizeof(PyObject *op, PyObject *Py_UNUSED(none))
{
    Core *self = (Core *)op;
    size_t bytes = (size_t)Py_TYPE(op)->tp_basicsize;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->index != no_slots) {
        bytes += ((size_t)self->mask + 1) * sizeof(uint32_t);
    }
    if (self->entries != NULL) {
        size_t entry = sizeof(Entry) + (self->timing != NULL ? sizeof(Timing) : 0) + (self->weights != NULL ? sizeof(PyObject *) : 0)
                       + (self->refs != NULL ? sizeof(PyObject *) : 0) + (self->charges != NULL ? sizeof(Charge) : 0);
        bytes += ((size_t)self->capacity + 1) * entry + (size_t)self->heap_capacity * sizeof(uint32_t);
    }
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSize_t(bytes);
}

#endif
