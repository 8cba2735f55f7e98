/* Giving up entries that lie together: memory goes back to the system in whole pages, so what is let go of here and there stays with the process. */

#ifndef SAFEMEM_ACCOUNT_REGIONS_H
#define SAFEMEM_ACCOUNT_REGIONS_H

#include "account_methods.h"

/* Which part of the address space the value of an entry lies in. */
static inline unsigned long long
region_of(Core *self, uint32_t number, long bits)
{
    return (unsigned long long)(uintptr_t)self->entries[number].value >> bits;
}

/* A list of the regions in which the values of so many of the coldest entries lie. */
static PyObject *
core_cold_regions(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_cold_regions() takes most and bits");
        return NULL;
    }
    long most = PyLong_AsLong(args[0]), bits = PyLong_AsLong(args[1]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    unsigned long long *regions = PyMem_Malloc((size_t)most * sizeof(*regions) + 1);
    long found = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    uint32_t number = self->head;
    for (uint32_t i = 0; regions != NULL && found < most && i < self->count; i++, number = self->entries[number].next) {
        if (!self->entries[number].weak) {
            regions[found++] = region_of(self, number, bits);
        }
    }
    Py_END_CRITICAL_SECTION();
    PyObject *list = regions == NULL ? PyErr_NoMemory() : PyList_New(found);
    for (long i = 0; list != NULL && i < found; i++) {
        PyObject *region = PyLong_FromUnsignedLongLong(regions[i]);
        if (region == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, region);
    }
    PyMem_Free(regions);
    return list;
}

/* Regions in a table without order: 0 is a free place, and no region of anything. */
typedef struct {
    unsigned long long region;
    long long bytes; /* that are charged for what lies there */
    int chosen;
} Region;

typedef struct {
    Region *places;
    size_t mask;
} Regions;

static inline Region *
region_place(const Regions *regions, unsigned long long region)
{
    size_t place = (size_t)((region * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & regions->mask;
    while (regions->places[place].region != 0 && regions->places[place].region != region) {
        place = (place + 1) & regions->mask;
    }
    return &regions->places[place];
}

static int
regions_make(Regions *regions, PyObject *list)
{
    size_t size = 16;
    while (size < 2 * (size_t)PyList_GET_SIZE(list)) {
        size *= 2;
    }
    regions->mask = size - 1;
    regions->places = PyMem_Calloc(size, sizeof(Region));
    if (regions->places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        unsigned long long region = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(list, i));
        region_place(regions, region)->region = region;
    }
    if (PyErr_Occurred()) {
        PyMem_Free(regions->places);
        return -1;
    }
    return 0;
}

/* Choose the first of the regions, as many as it takes to hold `most` bytes: one that is emptied in part gives nothing back. */
static void
regions_choose(Regions *regions, PyObject *list, Core *self, long bits, long long most)
{
    for (uint32_t number = 1; number <= self->used; number++) {
        if (self->entries[number].key != NULL && !self->entries[number].weak) {
            region_place(regions, region_of(self, number, bits))->bytes += self->charges[number].bytes;
        }
    }
    for (Py_ssize_t i = 0; most > 0 && i < PyList_GET_SIZE(list); i++) {
        Region *place = region_place(regions, PyLong_AsUnsignedLongLong(PyList_GET_ITEM(list, i)));
        most -= place->chosen ? 0 : place->bytes;
        place->chosen = 1;
    }
}

/* Give up all entries whose values lie in some regions, but what others use and nothing below `floor`. The regions are emptied one after the other,
   each as a whole, until `most` bytes have gone. Returns how many went and what was charged for them. */
static PyObject *
core_give_up_regions(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 5 || !PyList_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "_give_up_regions() takes a list of regions, bits, cause, floor and most");
        return NULL;
    }
    long bits = PyLong_AsLong(args[1]);
    long long floor = PyLong_AsLongLong(args[3]), most = PyLong_AsLongLong(args[4]), bytes = 0, given = 0;
    Regions regions;
    if (PyErr_Occurred() || regions_make(&regions, args[0]) < 0) {
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    int result = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->accounted) {
        regions_choose(&regions, args[0], self, bits, most);
    }
    for (uint32_t number = 1; result == 0 && self->accounted && number <= self->used; number++) {
        if (self->entries[number].key == NULL || self->entries[number].weak || !region_place(&regions, region_of(self, number, bits))->chosen) {
            continue;
        }
        int64_t charge = self->charges[number].bytes;
        if (self->charged - charge < floor || !frees(self, number)) {
            continue;
        }
        int taken = self->weak ? let_off(self, number, args[2], &gone) > 0 : (self->evictions++, take_entry(self, number, args[2], &gone)) >= 0;
        result = PyErr_Occurred() ? -1 : 0;
        bytes += taken ? charge : 0;
        given += taken;
    }
    result = result < 0 || shrink(self) < 0 ? -1 : 0;
    Py_END_CRITICAL_SECTION();
    PyMem_Free(regions.places);
    return gone_finish(self, &gone, result) < 0 ? NULL : Py_BuildValue("(LL)", given, bytes);
}

#endif
