/* The inner loops of the audit: how much each container holds, and by which way objects are reached; the same as in _heap.py.

   Both run from beginning to end without anybody's code, and without an allocation that the collector sees; so no object can go away or
   change meanwhile, and addresses are enough. That is so under the GIL only: where there is none, _heap.py does it. */

#ifndef SAFEMEM_HEAP_H
#define SAFEMEM_HEAP_H

#include "compat.h"

#ifndef Py_GIL_DISABLED

/* -- what each object holds: open addressing in a bytes object ------------------------------------------------------------------------- */

typedef struct {
    uintptr_t address; /* 0: nobody */
    uint32_t mass;
    uint32_t type; /* half of the type's address; the lowest bit: whether it was missing in the first census */
} Contained;

typedef struct {
    Contained *held;
    size_t mask;
} HeldTable;

#define LATER 1u

static inline size_t
spread(const void *address)
{
    uint64_t bits = (uint64_t)(uintptr_t)address >> 4;
    return (size_t)((bits * 0x9E3779B97F4A7C15u) >> 20);
}

static Contained *
find_contained(const HeldTable *table, const void *address)
{
    size_t place = spread(address) & table->mask;
    while (table->held[place].address != 0 && table->held[place].address != (uintptr_t)address) {
        place = (place + 1) & table->mask;
    }
    return &table->held[place];
}

/* A growing row of objects, borrowed. */
typedef struct {
    PyObject **items;
    size_t used, room;
} Borrowed;

static int
push(Borrowed *row, PyObject *object)
{
    if (row->used == row->room) {
        size_t room = row->room == 0 ? 1024 : row->room * 2;
        PyObject **items = PyMem_RawRealloc(row->items, room * sizeof(PyObject *));
        if (items == NULL) {
            return -1;
        }
        row->items = items;
        row->room = room;
    }
    row->items[row->used++] = object;
    return 0;
}

typedef struct {
    uint64_t mass;
    Borrowed *hidden;
} Weighing;

static int
weigh_held(PyObject *other, void *arg)
{
    Weighing *weighing = arg;
    weighing->mass++;
    if (PyUnicode_CheckExact(other)) {
        weighing->mass += (uint64_t)PyUnicode_GET_LENGTH(other);
    }
    else if (PyTuple_CheckExact(other) || PyList_CheckExact(other)) {
        weighing->mass += (uint64_t)Py_SIZE(other);
    }
    else if (PyDict_CheckExact(other)) {
        weighing->mass += (uint64_t)PyDict_GET_SIZE(other);
        if (!PyObject_GC_IsTracked(other)) {
            return push(weighing->hidden, other);
        }
    }
    else if (PyAnySet_CheckExact(other)) {
        weighing->mass += (uint64_t)PySet_GET_SIZE(other);
    }
    else if (PyBytes_CheckExact(other) || PyByteArray_CheckExact(other)) {
        weighing->mass += (uint64_t)Py_SIZE(other);
    }
    return 0;
}

/* Of a module only the dict: the state of `_asyncio` has objects in it that are freed already (CPython gh-122695, before 3.12.6). */
static inline int
visit_all(PyObject *object, visitproc visit, void *arg)
{
    if (UNLIKELY(PyModule_Check(object))) {
        PyObject *dict = PyModule_GetDict(object);
        return dict == NULL ? 0 : visit(dict, arg);
    }
    traverseproc traverse = Py_TYPE(object)->tp_traverse;
    return PyObject_IS_GC(object) && traverse != NULL ? traverse(object, visit, arg) : 0;
}

typedef struct {
    HeldTable now, before;
    Borrowed hidden;
    PyObject *grown, *later; /* lists; the second may be NULL */
} Census;

/* Enter one object; -1: no memory. */
static int
count_one(Census *census, PyObject *object)
{
    Contained *entry = find_contained(&census->now, object);
    if (entry->address != 0) {
        return 0;
    }
    Weighing weighing = {0, &census->hidden};
    if (visit_all(object, weigh_held, &weighing) < 0) {
        return -1;
    }
    entry->address = (uintptr_t)object;
    entry->mass = weighing.mass > UINT32_MAX ? UINT32_MAX : (uint32_t)weighing.mass;
    entry->type = (uint32_t)((uintptr_t)Py_TYPE(object) >> 3) & ~LATER;
    if (census->before.held == NULL) {
        return 0;
    }
    const Contained *known = find_contained(&census->before, object);
    int same = known->address != 0 && ((known->type ^ entry->type) & ~LATER) == 0;
    entry->type |= same ? known->type & LATER : LATER;
    if (same && entry->mass > known->mass && PyList_Append(census->grown, object) < 0) {
        return -1;
    }
    return census->later != NULL && (entry->type & LATER) && PyList_Append(census->later, object) < 0 ? -1 : 0;
}

static int
count_all(Census *census, PyObject *objects)
{
    for (Py_ssize_t place = 0; place < PyList_GET_SIZE(objects); place++) {
        if (count_one(census, PyList_GET_ITEM(objects, place)) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The dicts that the collector does not know of; they hold none in turn. */
static int
count_hidden(Census *census)
{
    for (size_t place = 0; place < census->hidden.used; place++) {
        if (count_one(census, census->hidden.items[place]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Room for all of them, the hidden ones too, which are counted first: each owner's dict once. */
static int
count_entries(PyObject *objects, Borrowed *hidden, size_t *entries)
{
    for (Py_ssize_t place = 0; place < PyList_GET_SIZE(objects); place++) {
        Weighing weighing = {0, hidden};
        if (visit_all(PyList_GET_ITEM(objects, place), weigh_held, &weighing) < 0) {
            return -1;
        }
    }
    *entries = (size_t)PyList_GET_SIZE(objects) + hidden->used;
    return 0;
}

static PyObject *
new_table(size_t entries, HeldTable *table)
{
    size_t size = 1024;
    while (size * 3 / 4 <= entries) {
        size *= 2;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(size * sizeof(Contained)));
    if (bytes != NULL) {
        table->held = (Contained *)(void *)PyBytes_AS_STRING(bytes);
        table->mask = size - 1;
        memset(table->held, 0, size * sizeof(Contained));
    }
    return bytes;
}

static int
read_table(PyObject *bytes, HeldTable *table)
{
    if (bytes == NULL || bytes == Py_None) {
        return 0;
    }
    size_t size = PyBytes_CheckExact(bytes) ? (size_t)PyBytes_GET_SIZE(bytes) / sizeof(Contained) : 0;
    if (size == 0 || (size & (size - 1)) != 0) {
        PyErr_Format(PyExc_TypeError, "before must be the table of another census, got %.100s", Py_TYPE(bytes)->tp_name);
        return -1;
    }
    table->held = (Contained *)(void *)PyBytes_AS_STRING(bytes);
    table->mask = size - 1;
    return 0;
}

static PyObject *
native_census(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"objects", "before", "fresh", NULL};
    PyObject *objects, *before = NULL;
    int fresh = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|O$p", names, &PyList_Type, &objects, &before, &fresh)) {
        return NULL;
    }
    Census census = {0};
    if (read_table(before, &census.before) < 0) {
        return NULL;
    }
    census.grown = PyList_New(0);
    PyObject *later = PyList_New(0), *result = NULL;
    PAUSE_COLLECTOR();
    census.later = fresh ? later : NULL;
    size_t entries = 0;
    int failed = census.grown == NULL || later == NULL || count_entries(objects, &census.hidden, &entries) < 0;
    PyObject *table = failed ? NULL : new_table(entries, &census.now);
    failed = failed || table == NULL;
    if (!failed) {
        census.hidden.used = 0;
        failed = count_all(&census, objects) < 0 || count_hidden(&census) < 0;
    }
    PyMem_RawFree(census.hidden.items);
    RESUME_COLLECTOR();
    if (failed) {
        PyErr_NoMemory();
    }
    else {
        result = PyTuple_Pack(3, table, census.grown, later);
    }
    Py_XDECREF(table);
    Py_XDECREF(census.grown);
    Py_XDECREF(later);
    return result;
}

/* -- ways from roots: breadth first, with a hash index over the queue --------------------------------------------------------------- */

typedef struct {
    PyObject **objects; /* in the order in which they were reached; borrowed */
    uint32_t *parents;
    uint32_t *index; /* places in the queue, one higher; 0: none */
    size_t used, room, mask, avoided;
    uint32_t from;    /* who is being looked through */
    size_t missing;   /* targets not reached yet */
    HeldTable wanted; /* targets */
} Search;

#define NOBODY UINT32_MAX

static uint32_t *
find_reached(const Search *search, const PyObject *object)
{
    size_t place = spread(object) & search->mask;
    while (search->index[place] != 0 && search->objects[search->index[place] - 1] != object) {
        place = (place + 1) & search->mask;
    }
    return &search->index[place];
}

static int
grow_walk(Search *search)
{
    size_t room = search->room == 0 ? 4096 : search->room * 2;
    if (room >= NOBODY) {
        return -1;
    }
    PyObject **objects = PyMem_RawRealloc(search->objects, room * sizeof(PyObject *));
    if (objects == NULL) {
        return -1;
    }
    search->objects = objects;
    uint32_t *parents = PyMem_RawRealloc(search->parents, room * sizeof(uint32_t));
    if (parents == NULL) {
        return -1;
    }
    search->parents = parents;
    uint32_t *index = PyMem_RawCalloc(room * 2, sizeof(uint32_t));
    if (index == NULL) {
        return -1;
    }
    PyMem_RawFree(search->index);
    search->index = index;
    search->room = room;
    search->mask = room * 2 - 1;
    for (size_t place = 0; place < search->used; place++) {
        *find_reached(search, search->objects[place]) = (uint32_t)(place + 1);
    }
    return 0;
}

static int
reach(PyObject *object, void *arg)
{
    Search *search = arg;
    uint32_t *entry = find_reached(search, object);
    if (*entry != 0) {
        return 0;
    }
    if (search->used == search->room) {
        if (grow_walk(search) < 0) {
            return -1;
        }
        entry = find_reached(search, object);
    }
    search->objects[search->used] = object;
    search->parents[search->used] = search->from;
    *entry = (uint32_t)++search->used;
    if (search->missing != 0) {
        Contained *target = find_contained(&search->wanted, object);
        if (target->address != 0 && target->mass == 0) {
            target->mass = 1;
            search->missing--;
        }
    }
    return 0;
}

/* Look through the queue from `place` on until it ends or all targets are reached; -1: no memory. */
static int
walk_on(Search *search, size_t place)
{
    for (; place < search->used && search->missing != 0; place++) {
        search->from = (uint32_t)place;
        if (visit_all(search->objects[place], reach, search) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
walk_groups(Search *search, PyObject *groups, PyObject *avoid)
{
    search->from = NOBODY;
    for (Py_ssize_t place = 0; place < PyList_GET_SIZE(avoid); place++) {
        if (reach(PyList_GET_ITEM(avoid, place), search) < 0) {
            return -1;
        }
    }
    search->avoided = search->used;
    for (Py_ssize_t number = 0; number < PyList_GET_SIZE(groups) && search->missing != 0; number++) {
        PyObject *group = PyList_GET_ITEM(groups, number);
        size_t start = search->used;
        search->from = NOBODY;
        for (Py_ssize_t place = 0; PyList_CheckExact(group) && place < PyList_GET_SIZE(group); place++) {
            if (reach(PyList_GET_ITEM(group, place), search) < 0) {
                return -1;
            }
        }
        if (walk_on(search, start) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The objects on the way to one target, the root first; None: there is no way, or it was to be avoided. */
static PyObject *
path_to(const Search *search, PyObject *target)
{
    uint32_t entry = search->room == 0 ? 0 : *find_reached(search, target);
    if (entry == 0 || entry <= search->avoided) {
        return Py_NewRef(Py_None);
    }
    Py_ssize_t length = 0;
    for (uint32_t place = entry - 1; place != NOBODY; place = search->parents[place]) {
        length++;
    }
    PyObject *way = PyList_New(length);
    for (uint32_t place = entry - 1; way != NULL && place != NOBODY; place = search->parents[place]) {
        PyList_SET_ITEM(way, --length, Py_NewRef(search->objects[place]));
    }
    return way;
}

static PyObject *
ways_to_all(const Search *search, PyObject *targets)
{
    PyObject *ways = PyList_New(PyList_GET_SIZE(targets));
    for (Py_ssize_t place = 0; ways != NULL && place < PyList_GET_SIZE(targets); place++) {
        PyObject *way = path_to(search, PyList_GET_ITEM(targets, place));
        if (way == NULL) {
            Py_CLEAR(ways);
            break;
        }
        PyList_SET_ITEM(ways, place, way);
    }
    return ways;
}

static void
want(Search *search, PyObject *targets)
{
    for (Py_ssize_t place = 0; place < PyList_GET_SIZE(targets); place++) {
        Contained *target = find_contained(&search->wanted, PyList_GET_ITEM(targets, place));
        search->missing += target->address == 0;
        target->address = (uintptr_t)PyList_GET_ITEM(targets, place);
    }
}

static PyObject *
native_find_paths(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"groups", "targets", "avoid", NULL};
    PyObject *groups, *targets, *avoid;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!O!", names, &PyList_Type, &groups, &PyList_Type, &targets, &PyList_Type, &avoid)) {
        return NULL;
    }
    Search search = {0};
    PyObject *wanted = new_table((size_t)PyList_GET_SIZE(targets), &search.wanted), *ways = NULL;
    if (wanted == NULL) {
        return NULL;
    }
    want(&search, targets);
    PAUSE_COLLECTOR();
    if (grow_walk(&search) < 0 || walk_groups(&search, groups, avoid) < 0) {
        PyErr_NoMemory();
    }
    else {
        ways = ways_to_all(&search, targets);
    }
    RESUME_COLLECTOR();
    PyMem_RawFree(search.objects);
    PyMem_RawFree(search.parents);
    PyMem_RawFree(search.index);
    Py_DECREF(wanted);
    return ways;
}

#define HEAP_FUNCTIONS                                                                                                            \
    {"census", (PyCFunction)(void (*)(void))native_census, METH_VARARGS | METH_KEYWORDS,                                          \
     "census($module, /, objects, before=None, *, fresh=False)\n--\n\nCount what each object holds: (table, grown, new)."},       \
    {"find_paths", (PyCFunction)(void (*)(void))native_find_paths, METH_VARARGS | METH_KEYWORDS,                                  \
     "find_paths($module, /, groups, targets, avoid)\n--\n\nReturn for each target the objects on a shortest way from a root to it."},

#else
#define HEAP_FUNCTIONS
#endif

#endif
