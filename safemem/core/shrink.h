/* Giving memory back: when most of the entries have gone, those left move into smaller arrays. Runs nobody's code. */

#ifndef SAFEMEM_SHRINK_H
#define SAFEMEM_SHRINK_H

#include "due.h"

/* Fill new arrays with the entries in order of use; `moved` tells for an old number the new one. */
static void
move_entries(Core *self, Arrays *to, uint32_t *moved)
{
    uint32_t number = self->head, count = self->count;
    for (uint32_t i = 1; i <= count; i++) {
        Entry *entry = &self->entries[number];
        moved[number] = i;
        to->entries[i] = *entry;
        to->entries[i].prev = i == 1 ? count : i - 1;
        to->entries[i].next = i == count ? 1 : i + 1;
        if (self->timed) {
            to->timing[i] = self->timing[number];
        }
        if (self->weighs) {
            to->weights[i] = self->weights[number];
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

/* Move the entries into smaller arrays if less than a quarter of the places is taken; without memory for that everything stays. */
static void
shrink(Core *self)
{
    uint32_t count = self->count, capacity = count + count / 8 + 8;
    if (self->objects || self->capacity < 64 || count > self->capacity / 4) {
        return;
    }
    size_t places = (size_t)capacity + 1;
    uint32_t bits = 4;
    while (((uint64_t)1 << bits) < 2 * (uint64_t)capacity) {
        bits++;
    }
    Arrays to = {0};
    uint32_t *moved = PyMem_Malloc(((size_t)self->used + 1) * sizeof(uint32_t));
    to.index = PyMem_Calloc((size_t)1 << bits, sizeof(Slot));
    to.entries = PyMem_Malloc(places * sizeof(Entry));
    to.timing = self->timed ? PyMem_Malloc(places * sizeof(Timing)) : NULL;
    to.weights = self->weighs ? PyMem_Malloc(places * sizeof(PyObject *)) : NULL;
    if (moved == NULL || to.index == NULL || to.entries == NULL || (self->timed && to.timing == NULL) || (self->weighs && to.weights == NULL)) {
        PyMem_Free(to.index);
        PyMem_Free(to.entries);
        PyMem_Free(to.timing);
        PyMem_Free(to.weights);
        PyMem_Free(moved);
        return;
    }
    move_entries(self, &to, moved);
    PyMem_Free(moved);
    if (self->index != no_slots) {
        PyMem_Free(self->index);
    }
    PyMem_Free(self->entries);
    PyMem_Free(self->timing);
    PyMem_Free(self->weights);
    if (self->heap_count == 0) {
        PyMem_Free(self->heap);
        self->heap = NULL;
        self->heap_capacity = 0;
    }
    self->index = to.index;
    self->entries = to.entries;
    self->timing = to.timing;
    self->weights = to.weights;
    self->mask = (uint32_t)(((uint64_t)1 << bits) - 1);
    self->shift = 32 - bits;
    self->capacity = capacity;
    self->head = count == 0 ? 0 : 1;
    self->used = count;
    self->free = 0;
    self->version++;
    for (uint32_t number = 1; number <= count; number++) {
        index_add(self, self->entries[number].hash, number);
    }
}

#endif
