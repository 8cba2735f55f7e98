/* What a memory budget asks of a cache: to be charged for its entries, to offer the least valuable of a few, and to give one up. */

#ifndef SAFEMEM_ACCOUNT_METHODS_H
#define SAFEMEM_ACCOUNT_METHODS_H

#include "private.h"

/* -- the account -------------------------------------------------------------------------------------------------------------------- */

static PyObject *
account_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(names))
{
    Account *self = (Account *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->alarm = INT64_MAX;
    }
    return (PyObject *)self;
}

static void
account_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
account_charge(PyObject *op, PyObject *bytes)
{
    long long number = PyLong_AsLongLong(bytes);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    (void)ATOMIC_ADD(&((Account *)op)->used, number);
    return Py_NewRef(Py_None);
}

static PyObject *
account_react_to(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(none))
{
    return Py_NewRef(Py_None);
}

static PyMethodDef account_type_methods[] = {
    {"charge", account_charge, METH_O, "charge($self, nbytes, /)\n--\n\nCount `nbytes` more, or less if negative."},
    {"react", account_react_to, METH_NOARGS, "react($self)\n--\n\nCalled after a store, with no lock held, when more than `alarm` is used."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef account_members[] = {
    {"used", T_LONGLONG, offsetof(Account, used), READONLY, "The bytes of all entries of all caches."},
    {"alarm", T_LONGLONG, offsetof(Account, alarm), 0, "When more is used `react()` is called."},
    {"clock", T_DOUBLE, offsetof(Account, clock), 0, "What the last entries given up were worth: entries age by its going on."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot account_slots[] = {
    {Py_tp_doc, "What the caches of a budget are charged to."},
    {Py_tp_new, account_new},
    {Py_tp_dealloc, account_dealloc},
    {Py_tp_methods, account_type_methods},
    {Py_tp_members, account_members},
    {0, NULL},
};

static PyType_Spec account_spec = {"safemem.core._native.AccountCore", sizeof(Account), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, account_slots};

/* -- taking part -------------------------------------------------------------------------------------------------------------------- */

/* Be charged to an account: its own bytes and what `measure(key, value)` says for each entry. `cost`: what all entries cost, None if only
   `measure` knows. Returns False if the cache is charged to another account. */
static PyObject *
core_open_account(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 4 || !PyObject_TypeCheck(args[0], self->state->account_type)) {
        PyErr_SetString(PyExc_TypeError, "_open_account() takes account, measure, own bytes and cost");
        return NULL;
    }
    long long own = PyLong_AsLongLong(args[2]);
    double cost = args[3] == Py_None ? -1.0 : PyFloat_AsDouble(args[3]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *old = NULL;
    int able = 1, other;
    Py_BEGIN_CRITICAL_SECTION(self);
    other = self->accounted && (PyObject *)self->account != args[0];
    if (!other && !self->accounted) {
        self->charges = self->capacity == 0 ? NULL : PyMem_Calloc((size_t)self->capacity + 1, sizeof(Charge));
        able = self->capacity == 0 || self->charges != NULL;
        if (able) {
            self->account = (Account *)Py_NewRef(args[0]);
            self->charged = 0;
            self->random = (uint64_t)(uintptr_t)self | 1;
            STORE_RELAXED(&self->accounted, 1);
        }
    }
    if (!other && able) {
        old = self->measure;
        self->measure = Py_NewRef(args[1]);
        self->own_bytes = own;
        self->common_cost = cost;
    }
    simplify(self);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return able ? PyBool_FromLong(!other) : PyErr_NoMemory();
}

static PyObject *
core_close_account(PyObject *op, PyObject *Py_UNUSED(none))
{
    account_leave((Core *)op);
    Py_BEGIN_CRITICAL_SECTION(op);
    simplify((Core *)op);
    Py_END_CRITICAL_SECTION();
    return Py_NewRef(Py_None);
}

static inline unsigned long long
handle_of(Core *self, uint32_t number)
{
    return ((unsigned long long)number << 32) | self->entries[number].birth;
}

/* The number of a handle's entry, 0 if that has gone. */
static inline uint32_t
from_handle(Core *self, unsigned long long handle)
{
    uint32_t number = (uint32_t)(handle >> 32), birth = (uint32_t)handle;
    return self->accounted && number != 0 && is_same(self, number, birth) ? number : 0;
}

/* A list of `(handle, key, value)` of the entries that nothing is charged for yet. */
static PyObject *
core_unmeasured(PyObject *op, PyObject *Py_UNUSED(none))
{
    Core *self = (Core *)op;
    uint32_t count = 0, used;
    struct Found { unsigned long long handle; PyObject *key, *value; } *found;
    Py_BEGIN_CRITICAL_SECTION(self);
    used = self->accounted ? self->used : 0;
    found = PyMem_Malloc(((size_t)used + 1) * sizeof(*found));
    for (uint32_t number = 1; found != NULL && number <= used; number++) {
        PyObject *value;
        if (self->entries[number].key == NULL || self->charges[number].uses != 0 || (value = entry_object(&self->entries[number])) == NULL) {
            continue;
        }
        found[count].handle = handle_of(self, number);
        found[count].key = Py_NewRef(self->entries[number].key);
        found[count++].value = value;
    }
    Py_END_CRITICAL_SECTION();
    PyObject *list = found == NULL ? PyErr_NoMemory() : PyList_New(0);
    for (uint32_t i = 0; i < count; i++) {
        PyObject *item = list == NULL ? NULL : Py_BuildValue("(KOO)", found[i].handle, found[i].key, found[i].value);
        if (list != NULL && (item == NULL || PyList_Append(list, item) < 0)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
        Py_DECREF(found[i].key);
        Py_DECREF(found[i].value);
    }
    PyMem_Free(found);
    return list;
}

/* Charge an entry that nothing has been charged for with what was measured. */
static PyObject *
core_record(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "_record() takes handle, bytes and cost");
        return NULL;
    }
    unsigned long long handle = PyLong_AsUnsignedLongLong(args[0]);
    long long bytes = PyLong_AsLongLong(args[1]);
    double cost = PyFloat_AsDouble(args[2]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(self);
    uint32_t number = from_handle(self, handle);
    if (number != 0 && self->charges[number].uses == 0) {
        charge_entry(self, number, bytes, cost, 1, 1, counted_bytes(self, number));
    }
    Py_END_CRITICAL_SECTION();
    return Py_NewRef(Py_None);
}

/* -- letting go --------------------------------------------------------------------------------------------------------------------- */

/* Whether to let go of an entry frees its value; in a weak cache not if others use it, in any other that is taken for granted. */
static inline int
frees(Core *self, uint32_t number)
{
    return !self->weak || Py_REFCNT(self->entries[number].value) == 1;
}

typedef struct {
    uint32_t number;
    double score;
    int64_t floor;
    double weight;
    int spare;
} Offer;

/* Take note of an entry if it may go and is worth less than the others. */
static void
consider(Core *self, uint32_t number, Offer *offer)
{
    Entry *entry = &self->entries[number];
    if (number == 0 || entry->key == NULL || entry->weak) {
        return;
    }
    Charge *charge = &self->charges[number];
    double score = charge->since + (double)charge->uses * (double)charge->worth * offer->weight;
    if ((offer->number == 0 || score < offer->score) && self->charged - charge->bytes >= offer->floor && (!offer->spare || frees(self, number))) {
        offer->number = number;
        offer->score = score;
    }
}

static inline uint32_t
random_number(Core *self)
{
    uint64_t x = self->random; /* xorshift64, by George Marsaglia */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    self->random = x;
    return (uint32_t)(((x >> 32) * self->used) >> 32) + 1;
}

#define MOST_LOOKED_AT 1024

/* The least valuable of a few entries: the coldest, the hottest and others at random, as `(score, bytes, handle)`; None: none may go.
   `floor`: what must stay charged. `spare`: pass over what others use. */
static PyObject *
core_offer(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "_offer() takes samples, weight, floor and spare");
        return NULL;
    }
    long samples = PyLong_AsLong(args[0]);
    Offer offer = {0};
    offer.weight = PyFloat_AsDouble(args[1]);
    offer.floor = PyLong_AsLongLong(args[2]);
    offer.spare = PyObject_IsTrue(args[3]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    int64_t bytes = 0;
    unsigned long long handle = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->accounted && self->count > 0 && self->charged > offer.floor) {
        consider(self, self->weak ? self->coldest : self->head, &offer);
        if (samples > 1) {
            consider(self, self->entries[self->head].prev, &offer);
        }
        for (long i = 2; i < samples; i++) {
            consider(self, random_number(self), &offer);
        }
        uint32_t number = self->head;
        for (uint32_t i = 0; offer.number == 0 && i < MOST_LOOKED_AT && i < self->count; i++, number = self->entries[number].next) {
            consider(self, number, &offer); /* few are left that may go */
        }
        bytes = offer.number == 0 ? 0 : self->charges[offer.number].bytes;
        handle = offer.number == 0 ? 0 : handle_of(self, offer.number);
    }
    Py_END_CRITICAL_SECTION();
    return handle == 0 ? Py_NewRef(Py_None) : Py_BuildValue("(dLK)", offer.score, (long long)bytes, handle);
}

/* Give up an entry that was offered, unless that would leave less than `floor`. Returns the bytes that this frees, 0 if others use the
   value; -1: the entry has gone or has to stay. */
static PyObject *
core_give_up(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "_give_up() takes handle, cause and floor");
        return NULL;
    }
    unsigned long long handle = PyLong_AsUnsignedLongLong(args[0]);
    long long floor = PyLong_AsLongLong(args[2]), freed = -1;
    if (PyErr_Occurred()) {
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    int result = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    uint32_t number = from_handle(self, handle);
    if (number != 0 && !self->entries[number].weak && self->charged - self->charges[number].bytes >= floor) {
        freed = frees(self, number) ? (long long)self->charges[number].bytes : 0;
        if (self->weak) {
            result = let_off(self, number, args[1], &gone);
            freed = result > 0 ? freed : -1;
        }
        else {
            self->evictions++;
            result = take_entry(self, number, args[1], &gone);
        }
        result = result < 0 || shrink(self) < 0 ? -1 : 0;
    }
    Py_END_CRITICAL_SECTION();
    return gone_finish(self, &gone, result) < 0 ? NULL : PyLong_FromLongLong(freed);
}

/* The bytes that letting go of everything would free; takes time in proportion to the number of a weak cache's entries. */
static PyObject *
core_reclaimable(PyObject *op, PyObject *Py_UNUSED(none))
{
    Core *self = (Core *)op;
    int64_t bytes = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    bytes = self->accounted && !self->weak ? self->charged : 0;
    for (uint32_t number = 1; self->accounted && self->weak && number <= self->used; number++) {
        if (self->entries[number].key != NULL && !self->entries[number].weak && frees(self, number)) {
            bytes += self->charges[number].bytes;
        }
    }
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLongLong(bytes);
}

/* -- attributes --------------------------------------------------------------------------------------------------------------------- */

static PyObject *
core_account(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *account;
    Py_BEGIN_CRITICAL_SECTION(op);
    account = Py_NewRef(((Core *)op)->account == NULL ? Py_None : (PyObject *)((Core *)op)->account);
    Py_END_CRITICAL_SECTION();
    return account;
}

static PyObject *
core_measure(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *function;
    Py_BEGIN_CRITICAL_SECTION(op);
    function = Py_NewRef(((Core *)op)->measure == NULL ? Py_None : ((Core *)op)->measure);
    Py_END_CRITICAL_SECTION();
    return function;
}

static PyObject *
core_charged(PyObject *op, void *Py_UNUSED(closure))
{
    int64_t charged;
    Py_BEGIN_CRITICAL_SECTION(op);
    charged = ((Core *)op)->accounted ? ((Core *)op)->charged : 0;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLongLong(charged);
}

#endif
