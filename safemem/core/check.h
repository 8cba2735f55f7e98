/* Checking that a table is whole; for tests. */

#ifndef SAFEMEM_CHECK_H
#define SAFEMEM_CHECK_H

#include "copies.h"

#define INSIST(condition)                                                                        \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            PyErr_Format(PyExc_AssertionError, "line %d of check.h: %s", __LINE__, #condition); \
            return -1;                                                                           \
        }                                                                                        \
    } while (0)

static int
check_index(Core *self)
{
    uint64_t taken = 0, places = (uint64_t)self->mask + 1;
    for (uint64_t place = 0; place < places; place++) {
        uint32_t slot = self->index[place], number = slot & self->mask;
        if (slot == 0) {
            continue;
        }
        taken++;
        INSIST(number != 0 && number <= self->used);
        INSIST(self->entries[number].key != NULL);
        INSIST(slot == (tag_of(self, self->entries[number].hash) | number));
        INSIST(way_home(self, (uint32_t)place) == (((uint32_t)place - home_of(self, self->entries[number].hash)) & self->mask));
        for (uint32_t probe = home_of(self, self->entries[number].hash); probe != place; probe = (probe + 1) & self->mask) {
            INSIST(self->index[probe] != 0);
        }
    }
    INSIST(taken == self->count);
    INSIST(self->index == no_slots ? self->count == 0 : 2 * (uint64_t)self->count <= places);
    return 0;
}

static int
check_order(Core *self)
{
    INSIST((self->head == 0) == (self->count == 0));
    INSIST(self->used <= self->capacity && self->used <= self->mask);
    uint32_t number = self->head, strong = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        Entry *entry = &self->entries[number];
        INSIST(entry->key != NULL && entry->value != NULL && (self->weak || !entry->weak));
        if (self->weak && !entry->weak) {
            INSIST(strong++ > 0 || number == self->coldest);
        }
        PyObject *kept = self->refs != NULL ? self->refs[number] : NULL, *ref = entry->weak ? entry->value : kept;
        INSIST(kept == NULL || !entry->weak);
        INSIST(ref == NULL || ((PyWeakReference *)ref)->hash == (Py_hash_t)number);
        INSIST(self->entries[entry->next].prev == number);
        INSIST(self->gc_keys || !may_be_tracked(entry->key));
        INSIST(self->gc_values || entry->weak || !may_be_tracked(entry->value));
        number = entry->next;
    }
    INSIST(number == self->head);
    INSIST(strong == self->strong && (self->coldest == 0) == (strong == 0));
    uint32_t spare = 0;
    for (number = self->free; number != 0; number = self->entries[number].next) {
        INSIST(number <= self->used && self->entries[number].key == NULL);
        INSIST(++spare <= self->used);
    }
    INSIST(spare + self->count == self->used);
    return 0;
}

static int
check_due(Core *self)
{
    uint32_t queued = 0, waiting = 0, number = self->due;
    if (number != 0) {
        do {
            Timing *timing = &self->timing[number];
            INSIST(self->entries[number].key != NULL && timing->next != NOT_DUE);
            INSIST(self->timing[timing->next].prev == number);
            INSIST(timing->next == self->due || !(self->timing[timing->next].at < timing->at));
            INSIST(++queued <= self->count);
            number = timing->next;
        } while (number != self->due);
    }
    for (uint32_t place = 0; place < self->heap_count; place++) {
        number = self->heap[place];
        INSIST(self->entries[number].key != NULL && self->timing[number].next == NOT_DUE && self->timing[number].prev == place);
        INSIST(place == 0 || !heap_before(self, number, self->heap[(place - 1) / 2]));
        queued++;
    }
    for (number = 1; number <= self->used; number++) {
        if (self->entries[number].key != NULL) {
            waiting += self->timing[number].next != 0;
            INSIST((self->timing[number].next == 0) == (self->timing[number].at == Py_HUGE_VAL));
        }
    }
    INSIST(queued == waiting);
    return 0;
}

static int
check_records(Core *self)
{
    uint32_t queued = 0, waiting = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->object_heap); i++) {
        queued += record_entry(self, PyList_GET_ITEM(self->object_heap, i)) != 0;
    }
    for (uint32_t number = 1; number <= self->used; number++) {
        if (self->entries[number].key != NULL) {
            INSIST(self->timing[number].object != NULL);
            waiting += self->timing[number].next != 0;
        }
    }
    INSIST(queued == waiting);
    INSIST(self->due == 0 && self->heap_count == 0);
    return 0;
}

/* The sum of the weights, which floats may have lost a little of. */
static int
check_weights(Core *self)
{
    double sum = 0.0;
    for (uint32_t number = 1; number <= self->used; number++) {
        if (strong_value(&self->entries[number]) != NULL) {
            sum += PyFloat_AsDouble(self->weights[number]);
        }
    }
    PyObject *size = total_weight(self);
    double total = size == NULL ? -1.0 : PyFloat_AsDouble(size);
    if (PyErr_Occurred()) {
        return -1;
    }
    INSIST(fabs(total - sum) <= 1e-9 * (sum > 1 ? sum : 1));
    return 0;
}

static int
check_all(Core *self)
{
    if (check_index(self) < 0 || check_order(self) < 0) {
        return -1;
    }
    if (self->timed && (self->objects ? check_records(self) : check_due(self)) < 0) {
        return -1;
    }
    if (self->weighs && check_weights(self) < 0) {
        return -1;
    }
    if (self->accounted) {
        int64_t charged = 0;
        for (uint32_t number = 1; number <= self->used; number++) {
            charged += self->entries[number].key != NULL ? counted_bytes(self, number) : 0;
        }
        INSIST(charged == self->charged);
    }
    int over = is_over(self);
    if (over < 0) {
        return -1;
    }
    INSIST(!over);
    Py_ssize_t position = 0;
    PyObject *key, *token;
    while (self->loading != NULL && PyDict_Next(self->loading, &position, &key, &token)) {
        INSIST(PyLong_AsLong(PyList_GET_ITEM(token, 0)) > 0);
    }
    return 0;
}

static PyObject *
core_check(PyObject *op, PyObject *Py_UNUSED(none))
{
    int result;
    Py_BEGIN_CRITICAL_SECTION(op);
    result = check_all((Core *)op);
    Py_END_CRITICAL_SECTION();
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

#endif
