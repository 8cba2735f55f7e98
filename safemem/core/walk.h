/* Iterators: they walk the keys of the moment they were made, passing over those that are no longer there when their turn comes.

   An iterator keeps keys, no values: what is removed meanwhile is freed. It remembers where a key's entry was, and looks for it only
   if it is not there any more. */

#ifndef SAFEMEM_WALK_H
#define SAFEMEM_WALK_H

#include "lookup.h"

typedef struct {
    PyObject *key;
    uint32_t number;
    uint32_t birth;
    uint32_t hash;
} Place;

typedef enum { WALK_KEYS, WALK_VALUES, WALK_ITEMS } WalkKind;

typedef struct {
    PyObject_HEAD
    Core *cache; /* NULL: exhausted */
    Place *places;
    uint32_t count;
    uint32_t next;
    WalkKind kind;
} Walk;

/* The places of all entries in order of use; NULL with an exception set. */
static Place *
take_places(Core *self, int hottest_first)
{
    Place *places = PyMem_Malloc(((size_t)self->count + 1) * sizeof(Place));
    if (places == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    uint32_t number = self->head;
    if (hottest_first && number != 0) {
        number = self->entries[number].prev;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        Entry *entry = &self->entries[number];
        places[i].key = Py_NewRef(entry->key);
        places[i].number = number;
        places[i].birth = entry->birth;
        places[i].hash = entry->hash;
        number = hottest_first ? entry->prev : entry->next;
    }
    return places;
}

static PyObject *
walk_new(Core *self, WalkKind kind, int hottest_first)
{
    PyTypeObject *type = self->state->walk_type;
    if (type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        return NULL;
    }
    if (bury_dead(self) < 0) {
        return NULL;
    }
    Walk *walk = PyObject_GC_New(Walk, type);
    if (walk == NULL) {
        return NULL;
    }
    walk->cache = NULL;
    walk->next = 0;
    walk->count = 0;
    walk->kind = kind;
    Py_BEGIN_CRITICAL_SECTION(self);
    walk->places = take_places(self, hottest_first);
    if (walk->places != NULL) {
        walk->cache = (Core *)Py_NewRef((PyObject *)self);
        walk->count = self->count;
    }
    Py_END_CRITICAL_SECTION();
    PyObject_GC_Track((PyObject *)walk);
    if (walk->cache == NULL) {
        Py_DECREF(walk);
        return NULL;
    }
    return (PyObject *)walk;
}

/* Let go of the cache and of the keys that were not reached. */
static void
walk_end(Walk *walk)
{
    Core *cache = walk->cache;
    Place *places = walk->places;
    uint32_t next = walk->next, count = walk->count;
    walk->cache = NULL;
    walk->places = NULL;
    walk->next = walk->count = 0;
    for (; next < count; next++) {
        Py_DECREF(places[next].key);
    }
    PyMem_Free(places);
    Py_XDECREF(cache);
}

/* Whether the entry is alive: 1, 0 or -1; 2 if it is not there any more. */
static int
walk_alive(Core *cache, uint32_t number, uint32_t birth)
{
    if (!cache->timed) {
        return 1;
    }
    if (!cache->objects && is_monotonic(cache)) {
        return is_later(cache->timing[number].at);
    }
    Moment now = NO_MOMENT;
    int alive = ask_alive(cache, number, birth, &now);
    moment_release(&now);
    return alive;
}

/* The entry of the next key that is there and alive: 1 with its references, 0 at the end, -1. */
static int
walk_step(Walk *walk, Core *cache, PyObject **key, PyObject **value)
{
    while (walk->next < walk->count) {
        Place place = walk->places[walk->next++]; /* its reference is ours now */
        uint32_t number = place.number;
        int alive = 2;
        if (is_same(cache, number, place.birth)) {
            alive = walk_alive(cache, number, place.birth);
        }
        if (alive == 2) {
            number = find_live(cache, place.key, place.hash);
            alive = number == FAILED ? -1 : number != 0;
        }
        if (alive == 1) {
            *value = entry_object(&cache->entries[number]);
            *key = *value == NULL ? NULL : Py_NewRef(cache->entries[number].key);
            alive = *value != NULL;
        }
        Py_DECREF(place.key);
        if (alive != 0) {
            return alive;
        }
    }
    return 0;
}

static PyObject *
walk_next(PyObject *op)
{
    Walk *walk = (Walk *)op;
    Core *cache;
    Py_BEGIN_CRITICAL_SECTION(walk);
    cache = (Core *)Py_XNewRef((PyObject *)walk->cache);
    Py_END_CRITICAL_SECTION();
    if (cache == NULL) {
        return NULL;
    }
    PyObject *key = NULL, *value = NULL, *result = NULL;
    int found;
    Py_BEGIN_CRITICAL_SECTION2(walk, cache);
    found = walk_step(walk, cache, &key, &value);
    Py_END_CRITICAL_SECTION2();
    if (found == 0) {
        Py_BEGIN_CRITICAL_SECTION(walk);
        walk_end(walk);
        Py_END_CRITICAL_SECTION();
    }
    else if (found > 0) {
        result = walk->kind == WALK_KEYS ? Py_NewRef(key) : walk->kind == WALK_VALUES ? Py_NewRef(value) : PyTuple_Pack(2, key, value);
    }
    Py_XDECREF(key);
    Py_XDECREF(value);
    Py_DECREF(cache);
    return result;
}

static int
walk_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Walk *walk = (Walk *)op;
    Py_VISIT(walk->cache);
    for (uint32_t i = walk->next; i < walk->count; i++) {
        Py_VISIT(walk->places[i].key);
    }
    return 0;
}

static int
walk_clear(PyObject *op)
{
    walk_end((Walk *)op);
    return 0;
}

static void
walk_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    walk_end((Walk *)op);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyType_Slot walk_slots[] = {
    {Py_tp_doc, "An iterator over the entries that a cache had when it was made."},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, walk_next},
    {Py_tp_traverse, walk_traverse},
    {Py_tp_clear, walk_clear},
    {Py_tp_dealloc, walk_dealloc},
    {0, NULL},
};

static PyType_Spec walk_spec = {
    .name = "safemem.core._native.Walk",
    .basicsize = sizeof(Walk),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = walk_slots,
};

/* -- what caches have for it -------------------------------------------------------------------------------------------------------- */

static PyObject *
core_iter(PyObject *op)
{
    return walk_new((Core *)op, WALK_KEYS, 0);
}

static PyObject *
core_reversed(PyObject *op, PyObject *Py_UNUSED(none))
{
    return walk_new((Core *)op, WALK_KEYS, 1);
}

static PyObject *
walk_from(PyObject *op, PyObject *args, PyObject *names, WalkKind kind)
{
    static char *keywords[] = {"hottest_first", NULL};
    int hottest_first = 0;
    if (!PyArg_ParseTupleAndKeywords(args, names, "|$p", keywords, &hottest_first)) {
        return NULL;
    }
    return walk_new((Core *)op, kind, hottest_first);
}

static PyObject *
core_iterate_values(PyObject *op, PyObject *args, PyObject *names)
{
    return walk_from(op, args, names, WALK_VALUES);
}

static PyObject *
core_iterate_items(PyObject *op, PyObject *args, PyObject *names)
{
    return walk_from(op, args, names, WALK_ITEMS);
}

#endif
