/* Copies: all entries as rows, and a cache filled from rows; what copying and pickling build on. */

#ifndef SAFEMEM_COPIES_H
#define SAFEMEM_COPIES_H

#include "private.h"

typedef struct {
    PyObject *key;
    PyObject *value;
    PyObject *weight;
    Moment deadline;
} Row;

static void
rows_release(Row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        Py_DECREF(rows[i].key);
        Py_DECREF(rows[i].value);
        Py_XDECREF(rows[i].weight);
        moment_release(&rows[i].deadline);
    }
    PyMem_Free(rows);
}

/* All entries of this moment, coldest first. */
static Row *
take_rows(Core *self, uint32_t *count)
{
    Row *rows = PyMem_Malloc(((size_t)self->count + 1) * sizeof(Row));
    if (rows == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    uint32_t number = self->head, i = 0;
    for (uint32_t passed = 0; passed < self->count; passed++, number = self->entries[number].next) {
        rows[i].value = entry_object(&self->entries[number]);
        if (rows[i].value == NULL) {
            continue;
        }
        rows[i].key = Py_NewRef(self->entries[number].key);
        rows[i].weight = self->weighs ? Py_NewRef(self->weights[number]) : NULL;
        rows[i].deadline = self->timed ? deadline_of(self, number) : NO_MOMENT;
        i++;
    }
    *count = i;
    return rows;
}

/* Append `(key, value, weight, life)` unless it has expired. */
static int
export_row(Core *self, Row *row, Moment *now, int timed, PyObject *list)
{
    PyObject *life;
    if (timed) {
        int alive = comes_before(now, &row->deadline);
        if (alive <= 0) {
            return alive;
        }
        life = life_left(self, &row->deadline, now);
    }
    else {
        life = Py_NewRef(Py_None);
    }
    if (life == NULL) {
        return -1;
    }
    PyObject *item = PyTuple_Pack(4, row->key, row->value, row->weight == NULL ? self->state->one : row->weight, life);
    int result = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    Py_DECREF(life);
    return result;
}

static PyObject *
core_export(PyObject *op, PyObject *Py_UNUSED(none))
{
    Core *self = (Core *)op;
    Moment now = NO_MOMENT;
    Row *rows = NULL;
    uint32_t count = 0;
    PyObject *list = PyList_New(0);
    int again = list != NULL, timed = 0;
    while (again) { /* once more if a weak cache has got a sense of time meanwhile */
        timed = self->timed;
        moment_release(&now);
        if (timed && read_moment(self, &now) < 0) {
            break;
        }
        Py_BEGIN_CRITICAL_SECTION(self);
        again = self->timed != timed;
        if (!again && (!timed || moment_agree(self, &now) == 0)) {
            rows = take_rows(self, &count);
        }
        Py_END_CRITICAL_SECTION();
    }
    int result = rows == NULL ? -1 : 0;
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        result = export_row(self, &rows[i], &now, timed, list);
    }
    if (rows != NULL) {
        rows_release(rows, count);
    }
    moment_release(&now);
    if (result < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* In a weak cache, a value that is larger than the bound is held weakly. */
static int
hold_if_large(Core *self, Item *item)
{
    int large = self->weighs ? is_too_large(self, item->weight) : self->limit < 1;
    if (large > 0 && !is_weakable(item->value)) { /* as a deep copy may be: held strongly until the bound is seen to */
        return 0;
    }
    if (large > 0) {
        item->ref = make_ref(self, item->value);
        large = item->ref == NULL ? -1 : 0;
    }
    return large;
}

/* A weak cache gets a sense of time from the first row whose life is limited. */
static int
learn_of_time(Core *self, PyObject *life, Moment *now)
{
    if (!self->weak || self->timed || life == Py_None) {
        return 0;
    }
    int unlimited = PyObject_RichCompareBool(life, self->state->infinity, Py_EQ);
    if (unlimited != 0) {
        return unlimited < 0 ? -1 : 0;
    }
    moment_release(now);
    return get_sense_of_time(self) < 0 ? -1 : read_moment(self, now);
}

/* Store one exported row; nothing is evicted. */
static int
import_row(Core *self, PyObject *row, Moment *now, Gone *gone)
{
    PyObject *key, *value, *weight, *life;
    PyObject *tuple = PySequence_Tuple(row);
    if (tuple == NULL || !PyArg_ParseTuple(tuple, "OOOO", &key, &value, &weight, &life)) {
        Py_XDECREF(tuple);
        return -1;
    }
    int result = -1, alive;
    int64_t hash = hash_key(self, key);
    if (hash >= 0 && learn_of_time(self, life, now) == 0) {
        Item item;
        item_init(&item, key, value, (uint32_t)hash);
        item.now.at = now->at;
        item.now.object = Py_XNewRef(now->object);
        item.timed = self->timed; /* else see catch_up() */
        if ((!item.timed || deadline_after(self, now, life == Py_None ? self->state->infinity : life, &item.deadline) == 0)
            && (!self->weighs || (item.weight = exact_number(Py_NewRef(weight))) != NULL) && (!self->weak || hold_if_large(self, &item) == 0)) {
            Py_BEGIN_CRITICAL_SECTION(self);
            uint32_t number = look_up_slowly(self, &item, &alive, gone);
            if (number != FAILED && !alive) { /* its life has run out, or is no number */
                result = 0;
            }
            else if (number != FAILED) {
                result = number != 0 ? replace(self, &item, number, gone) : add(self, &item, gone);
            }
            Py_END_CRITICAL_SECTION();
        }
        item_release(&item);
    }
    Py_DECREF(tuple);
    return result;
}

static PyObject *
core_import(PyObject *op, PyObject *rows)
{
    Core *self = (Core *)op;
    Moment now = NO_MOMENT;
    if (self->timed && read_moment(self, &now) < 0) {
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    int result = 0;
    if (!self->timed) {
        now.at = -Py_HUGE_VAL;
    }
    PyObject *iterator = PyObject_GetIter(rows), *row;
    while (iterator != NULL && result == 0 && (row = PyIter_Next(iterator)) != NULL) {
        result = import_row(self, row, &now, &gone);
        Py_DECREF(row);
    }
    if (iterator == NULL || PyErr_Occurred()) {
        result = -1;
    }
    Py_XDECREF(iterator);
    moment_release(&now);
    if (self->weak) { /* whatever has failed, the bound holds */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        Py_BEGIN_CRITICAL_SECTION(self);
        result = let_off_surplus(self, &gone) < 0 ? -1 : result;
        Py_END_CRITICAL_SECTION();
        if (type != NULL) {
            PyErr_Restore(type, value, traceback);
        }
    }
    gone_release(&gone);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

#endif
