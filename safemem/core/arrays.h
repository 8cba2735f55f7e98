/* What a table consists of, taken out of it at once, to be let go of or replaced. */

#ifndef SAFEMEM_ARRAYS_H
#define SAFEMEM_ARRAYS_H

#include "account.h"

/* The arrays of a table, taken out of it. */
typedef struct {
    uint32_t *index;
    Entry *entries;
    Timing *timing;
    PyObject **weights;
    PyObject **refs;
    Charge *charges;
    uint32_t *heap;
    PyObject *object_heap;
    PyObject *size;
    uint32_t head;
    uint32_t used;
    int objects;
} Arrays;

/* Take everything out of the table at once and leave it empty. */
static void
table_take(Core *self, Arrays *out)
{
    out->index = self->index;
    out->entries = self->entries;
    out->timing = self->timing;
    out->weights = self->weights;
    out->refs = self->refs;
    out->charges = self->charges;
    out->heap = self->heap;
    out->object_heap = self->object_heap;
    out->size = self->size;
    out->head = self->head;
    out->used = self->used;
    out->objects = self->objects;
    self->index = no_slots; /* the former one is the caller's */
    index_set(self, no_slots, 0);
    self->entries = NULL;
    self->timing = NULL;
    self->weights = NULL;
    self->refs = NULL;
    self->charges = NULL;
    if (self->accounted) {
        account_add(self, -self->charged);
    }
    self->coldest = self->strong = 0;
    self->heap = NULL;
    self->object_heap = NULL;
    self->size = self->state != NULL ? Py_XNewRef(self->state->zero) : NULL;
    self->removed += self->count;
    self->head = self->used = self->free = self->count = self->capacity = 0;
    self->due = self->heap_count = self->heap_capacity = 0;
    self->objects = self->gc_keys = self->gc_values = 0;
    self->version++;
}

/* Let go of what was taken; runs anybody's code. */
static void
arrays_release(Arrays *arrays)
{
    for (uint32_t number = 1; number <= arrays->used && arrays->entries != NULL; number++) {
        if (arrays->entries[number].key == NULL) {
            continue;
        }
        if (arrays->objects && arrays->timing != NULL) {
            Py_XDECREF(arrays->timing[number].object);
        }
        if (arrays->weights != NULL) {
            Py_XDECREF(arrays->weights[number]);
        }
        if (arrays->refs != NULL) {
            Py_XDECREF(arrays->refs[number]);
        }
        Py_DECREF(arrays->entries[number].key);
        Py_DECREF(arrays->entries[number].value);
    }
    Py_XDECREF(arrays->object_heap);
    Py_XDECREF(arrays->size);
    if (arrays->index != no_slots) {
        PyMem_Free(arrays->index);
    }
    PyMem_Free(arrays->entries);
    PyMem_Free(arrays->timing);
    PyMem_Free(arrays->weights);
    PyMem_Free(arrays->refs);
    PyMem_Free(arrays->charges);
    PyMem_Free(arrays->heap);
}

#endif
