/* Identity containers: what is known about owners that are found by their address and not kept alive.

   A table of its own: an index of places, open to linear probing, and an array of entries in the order in which they came. An address is
   given to another object when its owner has died, so an entry counts only if its reference leads to the very object asked about. Whoever
   asks about an object holds it, so an entry found under its address is either its own or that of a dead one.

   Deaths are reported to a mailbox (weak.h); the next operation works them off. A reference carries the address of its owner in the place of
   the owner's hash: it has a callback, so it is nobody else's. Values are released when the table is whole and nothing is locked. */

#ifndef SAFEMEM_OWNERS_H
#define SAFEMEM_OWNERS_H

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

#endif
