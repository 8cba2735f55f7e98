/* Identity containers: what is known about owners that are found by their address and not kept alive.

   A table of its own: an index of places, open to linear probing, and an array of entries in the order in which they came. An address is
   given to another object when its owner has died, so an entry counts only if its reference leads to the very object asked about. Whoever
   asks about an object holds it, so an entry found under its address is either its own or that of a dead one.

   Deaths are reported to a mailbox (weak.h); the next operation works them off. A reference carries the address of its owner in the place of
   the owner's hash: it has a callback, so it is nobody else's. Values are released when the table is whole and nothing is locked. */

#ifndef SAFEMEM_IDENTITY_H
#define SAFEMEM_IDENTITY_H

#include "args.h"
#include "weak.h"

typedef struct {
    PyObject *owner; /* an address, not a reference; NULL: removed */
    PyObject *ref;
    PyObject *value;
} Owned;

typedef struct {
    PyObject_HEAD
    uint32_t *places; /* of entries, counted from 1; 0: never used */
    Owned *entries;
    Mailbox *mailbox;
    uint64_t seed;
    uint32_t shift;
    uint32_t mask;
    uint32_t capacity; /* of entries; two thirds of the index at most */
    uint32_t used;     /* entries above are free */
    uint32_t filled;   /* places of the index that are not 0 */
    uint32_t count;
    State *state;
    PyObject *module;
} Owners;

#define REMOVED UINT32_MAX

/* -- the table: runs nobody's code ------------------------------------------------------------------------------------------------------ */

static inline uint32_t
owners_slot(Owners *self, PyObject *owner)
{
    return (uint32_t)((((uint64_t)(uintptr_t)owner >> 4) * self->seed) >> self->shift);
}

/* Where an address is in the index; -1: nowhere. */
static inline int64_t
owners_find(Owners *self, PyObject *owner)
{
    if (UNLIKELY(self->count == 0)) {
        return -1;
    }
    for (uint32_t slot = owners_slot(self, owner);; slot++) {
        slot &= self->mask;
        uint32_t place = self->places[slot];
        if (place == 0) {
            return -1;
        }
        if (place != REMOVED && self->entries[place - 1].owner == owner) {
            return slot;
        }
    }
}

static inline PyObject *
ref_object(PyObject *ref)
{
    return LOAD_RELAXED(&((PyWeakReference *)ref)->wr_object);
}

/* The entry of a living owner; NULL: there is none. */
static inline Owned *
owners_look(Owners *self, PyObject *owner)
{
    int64_t slot = owners_find(self, owner);
    if (slot < 0) {
        return NULL;
    }
    Owned *entry = &self->entries[self->places[slot] - 1];
    return LIKELY(ref_object(entry->ref) == owner) ? entry : NULL;
}

static void
owners_append(Owners *self, PyObject *owner, PyObject *ref, PyObject *value)
{
    uint32_t slot = owners_slot(self, owner) & self->mask;
    while (self->places[slot] != 0 && self->places[slot] != REMOVED) {
        slot = (slot + 1) & self->mask;
    }
    self->filled += self->places[slot] == 0;
    self->entries[self->used] = (Owned){owner, ref, value};
    self->places[slot] = ++self->used;
    self->count++;
}

/* Move all entries to a table with room for this many and some; -1 and no error set: there is no memory. */
static int
owners_rebuild(Owners *self, uint64_t wanted)
{
    uint32_t bits = 3;
    while (((uint64_t)1 << bits) * 2 / 3 < wanted) {
        bits++;
    }
    if (bits > 31) {
        return -1;
    }
    uint32_t size = (uint32_t)1 << bits, capacity = (uint32_t)((uint64_t)size * 2 / 3);
    uint32_t *places = PyMem_Calloc(size, sizeof(uint32_t));
    Owned *entries = PyMem_Malloc(capacity * sizeof(Owned));
    if (places == NULL || entries == NULL) {
        PyMem_Free(places);
        PyMem_Free(entries);
        return -1;
    }
    uint32_t *old_places = self->places, old_used = self->used;
    Owned *old = self->entries;
    self->places = places;
    self->entries = entries;
    self->mask = size - 1;
    self->shift = 64 - bits;
    self->capacity = capacity;
    self->used = self->filled = self->count = 0;
    for (uint32_t i = 0; i < old_used; i++) {
        if (old[i].owner != NULL) {
            owners_append(self, old[i].owner, old[i].ref, old[i].value);
        }
    }
    PyMem_Free(old_places);
    PyMem_Free(old);
    return 0;
}

/* Take out the entry at a place of the index; its references are the caller's. */
static Owned
owners_remove(Owners *self, int64_t slot)
{
    Owned *entry = &self->entries[self->places[slot] - 1], taken = *entry;
    self->places[slot] = REMOVED;
    *entry = (Owned){NULL, NULL, NULL};
    self->count--;
    while (self->used > 0 && self->entries[self->used - 1].owner == NULL) {
        self->used--;
    }
    if (self->count == 0) {
        memset(self->places, 0, ((size_t)self->mask + 1) * sizeof(uint32_t));
        self->filled = 0;
    }
    if (UNLIKELY(self->capacity > 64 && self->count < self->capacity / 8)) {
        (void)owners_rebuild(self, (uint64_t)self->count * 2); /* without memory it stays as large as it is */
    }
    return taken;
}

/* -- the dead --------------------------------------------------------------------------------------------------------------------------- */

static NOINLINE void
owners_search_dead(Owners *self)
{
    for (;;) {
        Owned dead = {NULL, NULL, NULL};
        Py_BEGIN_CRITICAL_SECTION(self);
        for (uint32_t i = 0; i < self->used; i++) {
            Owned *entry = &self->entries[i];
            if (entry->owner != NULL && is_dead(entry->ref)) {
                dead = owners_remove(self, owners_find(self, entry->owner));
                break;
            }
        }
        Py_END_CRITICAL_SECTION();
        if (dead.ref == NULL) {
            return;
        }
        Py_DECREF(dead.ref);
        Py_XDECREF(dead.value);
    }
}

/* Take out the entries of those whose death was reported, then let go of what was theirs. */
static NOINLINE void
owners_settle(Owners *self)
{
    int lost = LOAD_RELAXED(&self->mailbox->lost);
    if (UNLIKELY(lost)) {
        STORE_RELEASE(&self->mailbox->lost, 0);
    }
    Letter *letters = mailbox_take(self->mailbox);
    Py_BEGIN_CRITICAL_SECTION(self);
    for (Letter *letter = letters; letter != NULL; letter = letter->next) {
        int64_t slot = owners_find(self, (PyObject *)((PyWeakReference *)letter->ref)->hash);
        if (slot >= 0 && self->entries[self->places[slot] - 1].ref == letter->ref && is_dead(letter->ref)) {
            Owned dead = owners_remove(self, slot);
            Py_DECREF(dead.ref); /* not the last one */
            if (dead.value != NULL) {
                Py_DECREF(letter->ref);
                letter->ref = dead.value;
            }
        }
    }
    Py_END_CRITICAL_SECTION();
    letters_release(letters);
    if (UNLIKELY(lost)) {
        owners_search_dead(self);
    }
}

static inline void
owners_drain(Owners *self)
{
    if (UNLIKELY(LOAD_ACQUIRE(&self->mailbox->letters) != NULL || LOAD_RELAXED(&self->mailbox->lost))) {
        owners_settle(self);
    }
}

/* -- what all operations are made of ---------------------------------------------------------------------------------------------------- */

static NOINLINE void
raise_unweakable(Owners *self, PyObject *owner)
{
    PyObject *error = PyObject_CallFunction(self->state->unweakable, "sO", "owner", owner);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

static NOINLINE PyObject *
raise_no_owner(Owners *self, PyObject *owner)
{
    if (is_weakable(owner)) {
        raise_key_error(owner);
    }
    else {
        raise_unweakable(self, owner);
    }
    return NULL;
}

/* The value of an owner, a new reference; NULL: none. */
static inline PyObject *
owners_get(Owners *self, PyObject *owner)
{
    PyObject *value = NULL;
    owners_drain(self);
    Py_BEGIN_CRITICAL_SECTION(self);
    Owned *entry = owners_look(self, owner);
    if (LIKELY(entry != NULL)) {
        value = Py_XNewRef(entry->value);
    }
    Py_END_CRITICAL_SECTION();
    return value;
}

static int
owners_has(Owners *self, PyObject *owner)
{
    int found;
    owners_drain(self);
    Py_BEGIN_CRITICAL_SECTION(self);
    found = owners_look(self, owner) != NULL;
    Py_END_CRITICAL_SECTION();
    return found;
}

/* Store a value for an owner unless it has one and `replace` is 0; `former`, a new reference, is the one that it has, or had. 1: it is new. */
static int
owners_store(Owners *self, PyObject *owner, PyObject *value, int replace, PyObject **former)
{
    int found = 0, status = 0;
    *former = NULL;
    owners_drain(self);
    Py_BEGIN_CRITICAL_SECTION(self);
    Owned *entry = owners_look(self, owner);
    if (entry != NULL) {
        found = 1;
        *former = replace ? entry->value : Py_XNewRef(entry->value);
        if (replace) {
            entry->value = Py_XNewRef(value);
        }
    }
    Py_END_CRITICAL_SECTION();
    if (found) {
        return 0;
    }
    if (!is_weakable(owner)) {
        raise_unweakable(self, owner);
        return -1;
    }
    PyObject *ref = PyWeakref_NewRef(owner, (PyObject *)self->mailbox); /* the collector may run */
    if (ref == NULL) {
        return -1;
    }
    ((PyWeakReference *)ref)->hash = (Py_hash_t)owner;
    Owned stale = {NULL, NULL, NULL};
    Py_BEGIN_CRITICAL_SECTION(self);
    int64_t slot = owners_find(self, owner);
    Owned *entry = slot < 0 ? NULL : owners_look(self, owner);
    if (entry != NULL) { /* somebody was faster */
        *former = replace ? entry->value : Py_XNewRef(entry->value);
        if (replace) {
            entry->value = Py_XNewRef(value);
        }
    }
    else {
        if (slot >= 0) { /* of a dead one */
            stale = owners_remove(self, slot);
        }
        if ((self->used == self->capacity || self->filled == self->capacity) && owners_rebuild(self, (uint64_t)self->count + self->count / 2 + 4) < 0) {
            status = -1;
        }
        else {
            owners_append(self, owner, ref, Py_XNewRef(value));
            ref = NULL;
            status = 1;
        }
    }
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(ref);
    Py_XDECREF(stale.ref);
    Py_XDECREF(stale.value);
    if (status < 0) {
        PyErr_NoMemory();
    }
    return status;
}

/* Remove an owner; `value` is what it had, a new reference, or NULL. */
static int
owners_pull(Owners *self, PyObject *owner, PyObject **value)
{
    Owned taken = {NULL, NULL, NULL};
    owners_drain(self);
    Py_BEGIN_CRITICAL_SECTION(self);
    if (owners_look(self, owner) != NULL) {
        taken = owners_remove(self, owners_find(self, owner));
    }
    Py_END_CRITICAL_SECTION();
    *value = taken.value;
    Py_XDECREF(taken.ref);
    return taken.ref != NULL;
}

/* Remove the last owner that lives: 1, and both are new references (the value may be NULL); 0: there is none. */
static int
owners_pull_last(Owners *self, PyObject **owner, PyObject **value)
{
    owners_drain(self);
    for (;;) {
        Owned taken = {NULL, NULL, NULL};
        Py_BEGIN_CRITICAL_SECTION(self);
        if (self->used > 0) {
            taken = owners_remove(self, owners_find(self, self->entries[self->used - 1].owner));
        }
        Py_END_CRITICAL_SECTION();
        if (taken.ref == NULL) {
            return 0;
        }
        *owner = referent(taken.ref);
        *value = taken.value;
        Py_DECREF(taken.ref);
        if (*owner != NULL) {
            return 1;
        }
        Py_XDECREF(taken.value);
    }
}

/* References and values of all entries, new references, in order; NULL: no memory. */
static Owned *
owners_snapshot(Owners *self, uint32_t *count)
{
    Owned *copies;
    owners_drain(self);
    *count = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    copies = PyMem_Malloc(((size_t)self->count + 1) * sizeof(Owned));
    for (uint32_t i = 0; copies != NULL && i < self->used; i++) {
        Owned *entry = &self->entries[i];
        if (entry->owner != NULL) {
            copies[(*count)++] = (Owned){entry->owner, Py_NewRef(entry->ref), Py_XNewRef(entry->value)};
        }
    }
    Py_END_CRITICAL_SECTION();
    if (copies == NULL) {
        PyErr_NoMemory();
    }
    return copies;
}

static void
owned_release(Owned *copies, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        Py_XDECREF(copies[i].ref);
        Py_XDECREF(copies[i].value);
    }
    PyMem_Free(copies);
}

/* -- what Python sees: see _identity.py ------------------------------------------------------------------------------------------------- */

static Py_ssize_t
owners_length(PyObject *op)
{
    Owners *self = (Owners *)op;
    owners_drain(self);
    Py_ssize_t count;
    Py_BEGIN_CRITICAL_SECTION(self); /* a table that is being rebuilt counts from nothing */
    count = (Py_ssize_t)self->count;
    Py_END_CRITICAL_SECTION();
    return count;
}

static int
owners_contains(PyObject *op, PyObject *owner)
{
    return owners_has((Owners *)op, owner);
}

static PyObject *
owners_subscript(PyObject *op, PyObject *owner)
{
    PyObject *value = owners_get((Owners *)op, owner);
    return LIKELY(value != NULL) ? value : raise_no_owner((Owners *)op, owner);
}

static int
owners_ass_subscript(PyObject *op, PyObject *owner, PyObject *value)
{
    PyObject *former;
    int status = 0;
    if (value != NULL) {
        status = owners_store((Owners *)op, owner, value, 1, &former);
    }
    else if (!owners_pull((Owners *)op, owner, &former)) {
        raise_no_owner((Owners *)op, owner);
        status = -1;
    }
    Py_XDECREF(former);
    return status < 0 ? -1 : 0;
}

static const char *const owners_names[] = {"owner", "default"};

static PyObject *
owners_get_or(PyObject *op, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    static const Signature signature = {"IdentityCore.get", owners_names, 1, 2};
    PyObject *in[2];
    if (parse(&signature, args, given, names, in) < 0) {
        return NULL;
    }
    PyObject *value = owners_get((Owners *)op, in[0]);
    return value != NULL ? value : Py_NewRef(in[1] == NULL ? Py_None : in[1]);
}

static PyObject *
owners_setdefault(PyObject *op, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    static const Signature signature = {"IdentityCore.setdefault", owners_names, 1, 2};
    PyObject *in[2], *former;
    if (parse(&signature, args, given, names, in) < 0) {
        return NULL;
    }
    PyObject *value = in[1] == NULL ? Py_None : in[1];
    int status = owners_store((Owners *)op, in[0], value, 0, &former);
    if (status < 0) {
        return NULL;
    }
    return status == 1 ? Py_NewRef(value) : former;
}

static PyObject *
owners_pop(PyObject *op, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    static const Signature signature = {"IdentityCore.pop", owners_names, 1, 2};
    PyObject *in[2], *value;
    if (parse(&signature, args, given, names, in) < 0) {
        return NULL;
    }
    if (owners_pull((Owners *)op, in[0], &value)) {
        return value;
    }
    Owners *self = (Owners *)op;
    return in[1] != NULL && in[1] != self->state->missing ? Py_NewRef(in[1]) : raise_no_owner(self, in[0]);
}

/* (owner, value) of the last owner, or None. */
static PyObject *
owners_pop_last(PyObject *op, PyObject *Py_UNUSED(none))
{
    PyObject *owner, *value;
    if (!owners_pull_last((Owners *)op, &owner, &value)) {
        Py_RETURN_NONE;
    }
    PyObject *pair = PyTuple_Pack(2, owner, value == NULL ? Py_None : value);
    Py_DECREF(owner);
    Py_XDECREF(value);
    return pair;
}

static PyObject *
owners_popitem(PyObject *op, PyObject *none)
{
    PyObject *pair = owners_pop_last(op, none);
    if (pair == Py_None) {
        const char *name = Py_TYPE(op)->tp_name, *dot = strrchr(name, '.');
        Py_DECREF(pair);
        PyErr_Format(PyExc_KeyError, "%s is empty", dot == NULL ? name : dot + 1);
        return NULL;
    }
    return pair;
}

static PyObject *
owners_add(PyObject *op, PyObject *owner)
{
    PyObject *former;
    int status = owners_store((Owners *)op, owner, NULL, 0, &former);
    Py_XDECREF(former);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
owners_discard(PyObject *op, PyObject *owner)
{
    PyObject *value;
    int found = owners_pull((Owners *)op, owner, &value);
    Py_XDECREF(value);
    return PyBool_FromLong(found);
}

/* Take the whole table away, then let go of it. */
static int
owners_clear_table(PyObject *op)
{
    Owners *self = (Owners *)op;
    Owned *entries;
    uint32_t *places;
    uint32_t used;
    Py_BEGIN_CRITICAL_SECTION(self);
    entries = self->entries;
    places = self->places;
    used = self->used;
    self->entries = NULL;
    self->places = NULL;
    self->capacity = self->used = self->filled = self->count = 0;
    Py_END_CRITICAL_SECTION();
    PyMem_Free(places);
    owned_release(entries, used);
    return 0;
}

static PyObject *
owners_clear(PyObject *op, PyObject *Py_UNUSED(none))
{
    owners_drain((Owners *)op);
    owners_clear_table(op);
    Py_RETURN_NONE;
}

static PyObject *
owners_list(PyObject *op, int pairs)
{
    uint32_t count;
    Owned *copies = owners_snapshot((Owners *)op, &count);
    PyObject *list = copies == NULL ? NULL : PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = pairs ? PyTuple_Pack(2, copies[i].ref, copies[i].value == NULL ? Py_None : copies[i].value) : Py_NewRef(copies[i].ref);
        if (item == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    if (copies != NULL) {
        owned_release(copies, count);
    }
    return list;
}

static PyObject *
owners_refs(PyObject *op, PyObject *Py_UNUSED(none))
{
    return owners_list(op, 0);
}

static PyObject *
owners_entries(PyObject *op, PyObject *Py_UNUSED(none))
{
    return owners_list(op, 1);
}

static PyObject *
owners_drain_now(PyObject *op, PyObject *Py_UNUSED(none))
{
    owners_drain((Owners *)op);
    Py_RETURN_NONE;
}

static PyObject *
owners_check(PyObject *op, PyObject *Py_UNUSED(none))
{
    Owners *self = (Owners *)op;
    const char *wrong = NULL;
    owners_drain(self);
    Py_BEGIN_CRITICAL_SECTION(self);
    uint32_t live = 0;
    for (uint32_t i = 0; i < self->used; i++) {
        Owned *entry = &self->entries[i];
        if (entry->owner == NULL) {
            continue;
        }
        live++;
        int64_t slot = owners_find(self, entry->owner);
        PyObject *object = ref_object(entry->ref);
        if (slot < 0 || self->places[slot] != i + 1) {
            wrong = "an entry is not where the index says";
        }
        if (object != Py_None && object != entry->owner) {
            wrong = "an entry is in the place of another object";
        }
    }
    if (live != self->count || self->used > self->capacity || self->filled > self->capacity) {
        wrong = "the entries are not as many as counted";
    }
    Py_END_CRITICAL_SECTION();
    if (wrong != NULL) {
        PyErr_SetString(PyExc_AssertionError, wrong);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
owners_sizeof(PyObject *op, PyObject *Py_UNUSED(none))
{
    Owners *self = (Owners *)op;
    size_t bytes = (size_t)Py_TYPE(op)->tp_basicsize;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->places != NULL) {
        bytes += ((size_t)self->mask + 1) * sizeof(uint32_t) + (size_t)self->capacity * sizeof(Owned);
    }
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSize_t(bytes);
}

/* -- making and freeing ----------------------------------------------------------------------------------------------------------------- */

static struct PyModuleDef native_module;

static PyObject *
owners_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(names))
{
    PyObject *module = PyType_GetModuleByDef(type, &native_module);
    if (module == NULL) {
        return NULL;
    }
    State *state = PyModule_GetState(module);
    if (state->mailbox_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        return NULL;
    }
    Mailbox *mailbox = (Mailbox *)mailbox_new(state);
    Owners *self = mailbox == NULL ? NULL : (Owners *)type->tp_alloc(type, 0); /* all zero */
    if (self == NULL) {
        Py_XDECREF(mailbox);
        return NULL;
    }
    self->mailbox = mailbox;
    self->seed = state->seed;
    self->state = state;
    self->module = Py_NewRef(module);
    return (PyObject *)self;
}

static int
owners_traverse(PyObject *op, visitproc visit, void *arg)
{
    Owners *self = (Owners *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->module);
    for (uint32_t i = 0; i < self->used; i++) {
        Py_VISIT(self->entries[i].ref);
        Py_VISIT(self->entries[i].value);
    }
    return 0;
}

static void
owners_dealloc(PyObject *op)
{
    Owners *self = (Owners *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, owners_dealloc)
    if (self->mailbox != NULL) {
        owners_clear_table(op);
        mailbox_close(self->mailbox);
    }
    Py_CLEAR(self->mailbox);
    Py_CLEAR(self->module);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMethodDef owners_set_methods[] = {
    {"clear", owners_clear, METH_NOARGS, "clear($self)\n--\n\nRemove all owners."},
    {"__sizeof__", owners_sizeof, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {"_add", owners_add, METH_O, NULL},
    {"_discard", owners_discard, METH_O, NULL},
    {"_pop_last", owners_pop_last, METH_NOARGS, NULL},
    {"_refs", owners_refs, METH_NOARGS, NULL},
    {"_entries", owners_entries, METH_NOARGS, NULL},
    {"_drain", owners_drain_now, METH_NOARGS, NULL},
    {"_check", owners_check, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define OWNERS_FAST(name, function, doc) {name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS, doc}

static PyMethodDef owners_methods[] = {
    OWNERS_FAST("get", owners_get_or, "get($self, owner, default=None)\n--\n\nReturn the value of `owner`, or `default`."),
    OWNERS_FAST("setdefault", owners_setdefault,
                "setdefault($self, owner, default=None)\n--\n\n"
                "Return the value of `owner`, or store `default` and return that; one atomic step."),
    OWNERS_FAST("pop", owners_pop,
                "pop($self, owner, default=...)\n--\n\n"
                "Remove `owner` and return its value, else `default` if given, else raise KeyError; one atomic step."),
    {"popitem", owners_popitem, METH_NOARGS,
     "popitem($self)\n--\n\nRemove and return the `(owner, value)` pair that came last; KeyError if there is none."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot owners_set_slots[] = {
    {Py_tp_doc, "Owners by identity, in the order in which they came."},
    {Py_tp_new, owners_new},
    {Py_tp_dealloc, owners_dealloc},
    {Py_tp_traverse, owners_traverse},
    {Py_tp_clear, owners_clear_table},
    {Py_tp_methods, owners_set_methods},
    {Py_mp_length, owners_length},
    {Py_sq_length, owners_length},
    {Py_sq_contains, owners_contains},
    {0, NULL},
};

static PyType_Slot owners_slots[] = {
    {Py_tp_doc, "Values by the identity of their owner."},
    {Py_tp_traverse, owners_traverse},
    {Py_tp_clear, owners_clear_table},
    {Py_tp_methods, owners_methods},
    {Py_mp_subscript, owners_subscript},
    {Py_mp_ass_subscript, owners_ass_subscript},
    {0, NULL},
};

#define OWNERS_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

static PyType_Spec owners_set_spec = {"safemem.core._native.IdentitySetCore", sizeof(Owners), 0, OWNERS_FLAGS, owners_set_slots};
static PyType_Spec owners_spec = {"safemem.core._native.IdentityCore", sizeof(Owners), 0, OWNERS_FLAGS | Py_TPFLAGS_MAPPING, owners_slots};

#endif
