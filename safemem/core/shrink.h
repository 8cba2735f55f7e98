/* Giving memory back: when most of the entries have gone, those left move into smaller arrays. */

#ifndef SAFEMEM_SHRINK_H
#define SAFEMEM_SHRINK_H

#include "arrays.h"
#include "due.h"

/* Number the entries in order of use: `moved` tells for an old number the new one. */
static void
number_entries(Core *self, uint32_t *moved)
{
    uint32_t number = self->head;
    for (uint32_t i = 1; i <= self->count; i++, number = self->entries[number].next) {
        moved[number] = i;
    }
}

/* The records of deadlines that are objects, in the same order with the new numbers; those of entries that went get number 0. */
static PyObject *
move_records(Core *self, const uint32_t *moved)
{
    Py_ssize_t count = PyList_GET_SIZE(self->object_heap);
    PAUSE_COLLECTOR();
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *old = PyList_GET_ITEM(self->object_heap, i);
        uint32_t number = record_entry(self, old);
        PyObject *record = Py_BuildValue("(OOI)", PyTuple_GET_ITEM(old, 0), PyTuple_GET_ITEM(old, 1), number == 0 ? 0U : moved[number]);
        if (record == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, record);
        }
    }
    RESUME_COLLECTOR();
    if (list == NULL) {
        PyErr_Clear();
    }
    return list;
}

/* Fill new arrays with the entries in order of use. */
static void
move_entries(Core *self, Arrays *to, const uint32_t *moved)
{
    uint32_t number = self->head, count = self->count;
    for (uint32_t i = 1; i <= count; i++) {
        Entry *entry = &self->entries[number];
        to->entries[i] = *entry;
        to->entries[i].prev = i == 1 ? count : i - 1;
        to->entries[i].next = i == count ? 1 : i + 1;
        if (self->timed) {
            to->timing[i] = self->timing[number];
        }
        if (self->weighs) {
            to->weights[i] = self->weights[number];
        }
        if (self->accounted) {
            to->charges[i] = self->charges[number];
        }
        number = entry->next;
    }
    for (uint32_t i = 1; self->timed && i <= count; i++) {
        Timing *timing = &to->timing[i];
        if (timing->next != 0 && timing->next != NOT_DUE) {
            timing->prev = moved[timing->prev];
            timing->next = moved[timing->next];
        }
    }
    for (uint32_t place = 0; place < self->heap_count; place++) {
        self->heap[place] = moved[self->heap[place]];
    }
    self->due = self->due == 0 ? 0 : moved[self->due];
}

/* Leave the heap room for as many entries as there is room for elsewhere. */
static void
shrink_heap(Core *self, uint32_t capacity)
{
    if (self->heap_count == 0) {
        PyMem_Free(self->heap);
        self->heap = NULL;
        self->heap_capacity = 0;
    }
    else if (self->heap_capacity > capacity) {
        uint32_t *heap = PyMem_Realloc(self->heap, capacity * sizeof(uint32_t));
        if (heap != NULL) {
            self->heap = heap;
            self->heap_capacity = capacity;
        }
    }
}

/* References carry the numbers of their entries. */
static void
move_refs(Core *self, Arrays *to, const uint32_t *moved)
{
    uint32_t number = self->head;
    for (uint32_t i = 1; i <= self->count; i++, number = self->entries[number].next) {
        PyObject *ref = to->entries[i].weak ? to->entries[i].value : NULL;
        if (self->refs != NULL) {
            to->refs[i] = self->refs[number];
            ref = ref == NULL ? to->refs[i] : ref;
        }
        if (ref != NULL) {
            ((PyWeakReference *)ref)->hash = (Py_hash_t)i;
        }
    }
    self->coldest = self->coldest == 0 ? 0 : moved[self->coldest];
}

static inline int
is_sparse(Core *self)
{
    return self->capacity >= 64 && self->count <= self->capacity / 4;
}

/* Move the entries into smaller arrays; without memory for that everything stays. Runs nobody's code but in the end. */
static void
shrink_table(Core *self)
{
    uint32_t count = self->count, capacity = count + count / 8 + 8;
    size_t places = (size_t)capacity + 1;
    uint8_t bits = position_bits(capacity);
    Arrays to = {0};
    uint32_t *moved = PyMem_Malloc(((size_t)self->used + 1) * sizeof(uint32_t));
    to.index = PyMem_Calloc((size_t)1 << bits, sizeof(uint32_t));
    to.entries = PyMem_Malloc(places * sizeof(Entry));
    to.timing = self->timed ? PyMem_Malloc(places * sizeof(Timing)) : NULL;
    to.weights = self->weighs ? PyMem_Malloc(places * sizeof(PyObject *)) : NULL;
    to.refs = self->refs != NULL ? PyMem_Malloc(places * sizeof(PyObject *)) : NULL;
    to.charges = self->accounted ? PyMem_Malloc(places * sizeof(Charge)) : NULL;
    int able = moved != NULL && to.index != NULL && to.entries != NULL && (!self->timed || to.timing != NULL) &&
               (!self->weighs || to.weights != NULL) && (self->refs == NULL || to.refs != NULL) && (!self->accounted || to.charges != NULL);
    if (able) {
        number_entries(self, moved);
        able = !self->objects || (to.object_heap = move_records(self, moved)) != NULL;
    }
    if (!able) {
        PyMem_Free(to.index);
        PyMem_Free(to.entries);
        PyMem_Free(to.timing);
        PyMem_Free(to.weights);
        PyMem_Free(to.refs);
        PyMem_Free(to.charges);
        PyMem_Free(moved);
        return;
    }
    move_entries(self, &to, moved);
    if (self->weak) {
        move_refs(self, &to, moved);
    }
    PyMem_Free(moved);
    index_set(self, to.index, bits);
    PyMem_Free(self->entries);
    PyMem_Free(self->timing);
    PyMem_Free(self->weights);
    PyMem_Free(self->refs);
    PyMem_Free(self->charges);
    shrink_heap(self, capacity);
    self->entries = to.entries;
    self->timing = to.timing;
    self->weights = to.weights;
    self->refs = to.refs;
    self->charges = to.charges;
    self->capacity = capacity;
    self->head = count == 0 ? 0 : 1;
    self->used = count;
    self->free = 0;
    self->version++;
    for (uint32_t number = 1; number <= count; number++) {
        index_add(self, self->entries[number].hash, number);
    }
    if (to.object_heap != NULL) {
        PyObject *old = self->object_heap;
        self->object_heap = to.object_heap;
        Py_DECREF(old);
    }
}

/* Give memory back if less than a quarter of the places is taken, as the last step of an operation: comparisons of deadlines may run. */
static int
shrink(Core *self)
{
    if (!is_sparse(self)) {
        return 0;
    }
    if (UNLIKELY(self->objects) && tidy_records(self, 0) < 0) {
        return -1;
    }
    if (is_sparse(self)) {
        shrink_table(self);
    }
    return 0;
}

#endif
