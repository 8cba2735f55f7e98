/* The hot protocol, writing: []=, del, pop, setdefault, popitem, clear. */

#ifndef SAFEMEM_WRITING_H
#define SAFEMEM_WRITING_H

#include "reading.h"

static const char *const NO_PARAMETERS[] = {NULL};

/* Remove a key's entry: 1 and its value (a new reference) if there was one, else 0. */
static int
remove_key(Core *self, PyObject *key, PyObject *cause, PyObject **value)
{
    *value = NULL;
    int64_t hash = hash_key(self, key);
    if (hash < 0) {
        return -1;
    }
    Moment now = NO_MOMENT;
    Gone gone;
    gone_init(&gone);
    int result = time_now(self, &now);
    if (result == 0) {
        Py_BEGIN_CRITICAL_SECTION(self);
        uint32_t number = 0;
        if (settle(self, &now, &gone) < 0 || forget_any_load(self, key) < 0) {
            number = FAILED;
        }
        else {
            number = find(self, key, (uint32_t)hash);
        }
        if (number == FAILED) {
            result = -1;
        }
        else if (number != 0) {
            int taken = take_entry(self, number, cause, &gone);
            result = taken < 0 ? -1 : 0;
            if (taken == 0) {
                *value = Py_NewRef(gone.victims[gone.count - 1].value);
                result = 1;
                self->evictions += cause == self->state->cause_size;
            }
        }
        Py_END_CRITICAL_SECTION();
    }
    moment_release(&now);
    result = gone_finish(self, &gone, result);
    if (result < 0) {
        Py_CLEAR(*value);
    }
    return result;
}

/* Whether this thread evicts through overridden methods: then a deletion is an eviction. */
static int
is_making_room(Core *self)
{
    if (!LOAD_RELAXED(&self->hooked)) {
        return 0;
    }
    PyObject *making_room;
    Py_BEGIN_CRITICAL_SECTION(self);
    making_room = Py_XNewRef(self->making_room);
    Py_END_CRITICAL_SECTION();
    if (making_room == NULL) {
        return 0;
    }
    PyObject *thread = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
    int inside = thread == NULL ? -1 : PySet_Contains(making_room, thread);
    Py_DECREF(making_room);
    Py_XDECREF(thread);
    return inside;
}

static NOINLINE int
core_delete(Core *self, PyObject *key)
{
    int making_room = is_making_room(self);
    if (making_room < 0) {
        return -1;
    }
    PyObject *value;
    int removed = remove_key(self, key, making_room ? self->state->cause_size : self->state->cause_explicit, &value);
    Py_XDECREF(value);
    if (removed == 0) {
        raise_key_error(key);
    }
    return removed > 0 ? 0 : -1;
}

/* Store an item whose moments are known. */
static inline int
store_item(Core *self, Item *item)
{
    Gone gone;
    gone_init(&gone);
    int result, alarmed, late;
    Py_BEGIN_CRITICAL_SECTION(self);
    result = store(self, item, &gone);
    if (UNLIKELY(self->weak) && result == 0) {
        result = shrink(self);
    }
    alarmed = is_alarmed(self);
    late = self->accounted && !item->measured;
    Py_END_CRITICAL_SECTION();
    item_release(item);
    return account_finish(self, alarmed, late, gone_finish(self, &gone, result));
}

static int
core_ass_subscript(PyObject *op, PyObject *key, PyObject *value)
{
    Core *self = (Core *)op;
    if (UNLIKELY(value == NULL)) {
        return core_delete(self, key);
    }
    int64_t hash = hash_key(self, key);
    if (UNLIKELY(hash < 0)) {
        return -1;
    }
    Item item;
    item_init(&item, key, value, (uint32_t)hash);
    if (UNLIKELY(time_of(self, &item) < 0 || prepare(self, &item) < 0)) {
        item_release(&item);
        return -1;
    }
    return store_item(self, &item);
}

/* Let the entries of a weak cache expire from now on; those that are there never do. */
static int
get_sense_of_time(Core *self)
{
    int result = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (!self->timed) {
        Timing *timing = PyMem_Calloc((size_t)self->capacity + 1, sizeof(Timing));
        if (timing == NULL) {
            PyErr_NoMemory();
            result = -1;
        }
        else {
            for (uint32_t number = 1; number <= self->capacity; number++) {
                timing[number].at = Py_HUGE_VAL;
            }
            self->timing = timing;
            self->timed = 1;
            self->version++;
        }
    }
    Py_END_CRITICAL_SECTION();
    return result;
}

static PyObject *
core_set_for(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Core *self = (Core *)op;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "_set_for() takes key, value and ttl");
        return NULL;
    }
    int64_t hash = hash_key(self, args[0]);
    if (hash < 0) {
        return NULL;
    }
    if (UNLIKELY(!self->timed) && get_sense_of_time(self) < 0) {
        return NULL;
    }
    Item item;
    item_init(&item, args[0], args[1], (uint32_t)hash);
    item.timed = 1;
    if (time_now(self, &item.now) < 0 || deadline_after(self, &item.now, args[2], &item.deadline) < 0 || prepare(self, &item) < 0) {
        item_release(&item);
        return NULL;
    }
    return store_item(self, &item) < 0 ? NULL : Py_NewRef(Py_None);
}

/* Store a value unless its key is there and return what is there. */
static PyObject *
store_if_absent(Core *self, PyObject *key, PyObject *value, uint32_t hash, PyObject *token)
{
    Item item;
    item_init(&item, key, value, hash);
    if (time_of(self, &item) < 0 || prepare(self, &item) < 0) {
        item_release(&item);
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    PyObject *there;
    int alarmed, late;
    Py_BEGIN_CRITICAL_SECTION(self);
    there = store_absent(self, &item, token, &gone);
    alarmed = is_alarmed(self);
    late = self->accounted && !item.measured;
    Py_END_CRITICAL_SECTION();
    item_release(&item);
    if (account_finish(self, alarmed, late, gone_finish(self, &gone, 0)) < 0) {
        Py_CLEAR(there);
    }
    return there;
}

static PyObject *
core_setdefault(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    static const Signature signature = {"LRUCore.setdefault", KEY_DEFAULT, 1, 2};
    PyObject *out[2];
    if (parse(&signature, args, count, names, out) < 0) {
        return NULL;
    }
    int64_t hash = hash_key(self, out[0]);
    if (hash < 0) {
        return NULL;
    }
    PyObject *value = look_up_any(self, out[0], (uint32_t)hash);
    if (value != NULL || PyErr_Occurred()) {
        return value;
    }
    return store_if_absent(self, out[0], out[1] == NULL ? Py_None : out[1], (uint32_t)hash, NULL);
}

/* The private way to pop: a tuple of the value, or None. */
static PyObject *
core_pop_for(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_pop() takes key and cause");
        return NULL;
    }
    PyObject *value;
    int removed = remove_key((Core *)op, args[0], args[1], &value);
    if (removed < 0) {
        return NULL;
    }
    if (removed == 0) {
        return Py_NewRef(Py_None);
    }
    PyObject *taken = PyTuple_Pack(1, value);
    Py_DECREF(value);
    return taken;
}

/* Remove a key's entry through overridden methods; the public class knows how. */
static int
remove_hooked(Core *self, PyObject *key, PyObject **value)
{
    *value = NULL;
    PyObject *taken = PyObject_CallMethodOneArg((PyObject *)self, self->state->str_pop_hooked, key);
    if (taken == NULL || taken == Py_None) {
        int result = taken == NULL ? -1 : 0;
        Py_XDECREF(taken);
        return result;
    }
    *value = PySequence_GetItem(taken, 0);
    Py_DECREF(taken);
    return *value == NULL ? -1 : 1;
}

static PyObject *
core_pop(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    static const Signature signature = {"LRUCore.pop", KEY_DEFAULT, 1, 2};
    PyObject *out[2];
    if (parse(&signature, args, count, names, out) < 0) {
        return NULL;
    }
    PyObject *value;
    int removed = LOAD_RELAXED(&self->hooked) ? remove_hooked(self, out[0], &value) : remove_key(self, out[0], self->state->cause_explicit, &value);
    if (removed != 0) {
        return value;
    }
    if (out[1] == NULL || out[1] == self->state->missing) {
        raise_key_error(out[0]);
        return NULL;
    }
    return Py_NewRef(out[1]);
}

/* KeyError, as `raise ... from None` has it. */
static void
raise_empty(Core *self)
{
    PyObject *name = PyType_GetName(Py_TYPE(self));
    PyObject *text = name == NULL ? NULL : PyUnicode_FromFormat("%U is empty", name);
    PyObject *error = text == NULL ? NULL : PyObject_CallOneArg(PyExc_KeyError, text);
    if (error != NULL) {
        PyException_SetCause(error, NULL); /* sets __suppress_context__ */
        PyErr_SetObject(PyExc_KeyError, error);
    }
    Py_XDECREF(name);
    Py_XDECREF(text);
    Py_XDECREF(error);
}

/* Remove the coldest entry and return it as a pair. */
static PyObject *
pop_coldest(Core *self, PyObject *cause)
{
    Moment now = NO_MOMENT;
    if (time_now(self, &now) < 0) {
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    PyObject *key = NULL, *value = NULL;
    int result;
    Py_BEGIN_CRITICAL_SECTION(self);
    result = settle(self, &now, &gone);
    while (result == 0 && key == NULL && self->head != 0) {
        int taken = take_entry(self, self->head, cause, &gone);
        result = taken < 0 ? -1 : 0;
        if (taken == 0) { /* else it had died */
            Victim *victim = &gone.victims[gone.count - 1];
            key = Py_NewRef(victim->key);
            value = Py_NewRef(victim->value);
            self->evictions += cause == self->state->cause_size;
            result = forget_any_load(self, key);
        }
    }
    Py_END_CRITICAL_SECTION();
    moment_release(&now);
    PyObject *pair = NULL;
    result = gone_finish(self, &gone, result);
    if (result == 0 && key != NULL) {
        pair = PyTuple_Pack(2, key, value);
    }
    else if (result == 0) {
        raise_empty(self);
    }
    Py_XDECREF(key);
    Py_XDECREF(value);
    return pair;
}

static PyObject *
core_pop_coldest(PyObject *op, PyObject *cause)
{
    return pop_coldest((Core *)op, cause);
}

static PyObject *
core_popitem(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    static const Signature signature = {"LRUCore.popitem", NO_PARAMETERS, 0, 0};
    if (parse(&signature, args, count, names, NULL) < 0) {
        return NULL;
    }
    if (LOAD_RELAXED(&self->hooked)) {
        return PyObject_CallMethodNoArgs(op, self->state->str_popitem_hooked);
    }
    return pop_coldest(self, self->state->cause_explicit);
}

/* Count the entries taken from a weak cache's table whose values had died. */
static void
count_dead(Core *self, Arrays *arrays)
{
    uint64_t dead = 0;
    for (uint32_t number = 1; number <= arrays->used; number++) {
        Entry *entry = &arrays->entries[number];
        dead += entry->weak && is_dead(entry->value);
    }
    self->collections += dead;
}

/* A list of `(key, value, cause)` of all entries taken from a table, coldest first. */
static PyObject *
list_taken(Core *self, Arrays *arrays, PyObject *cause)
{
    PyObject *list = PyList_New(0);
    uint32_t number = arrays->head;
    while (list != NULL && number != 0) {
        Entry *entry = &arrays->entries[number];
        PyObject *value = entry_object(entry);
        PyObject *item = value == NULL ? PyTuple_Pack(3, entry->key, Py_None, self->state->cause_collected) : PyTuple_Pack(3, entry->key, value, cause);
        Py_XDECREF(value);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
        number = entry->next == arrays->head ? 0 : entry->next;
    }
    return list;
}

static void
simplify(Core *self)
{
    int loading = self->loading != NULL && PyDict_GET_SIZE(self->loading) > 0;
    uint8_t simple = !self->accounted && !self->weighs && !self->hooked && self->limit >= 1 && !loading && !self->weak;
    STORE_RELAXED(&self->simple, simple);
}

/* Take everything out of the table and replace what is being loaded. */
static int
take_all(Core *self, Arrays *arrays, PyObject **loading)
{
    *loading = PyDict_New();
    if (*loading == NULL) {
        return -1;
    }
    Py_BEGIN_CRITICAL_SECTION(self);
    PyObject *old = self->loading;
    self->loading = *loading;
    *loading = old;
    table_take(self, arrays);
    if (self->weak) {
        count_dead(self, arrays);
    }
    simplify(self);
    Py_END_CRITICAL_SECTION();
    return 0;
}

static PyObject *
core_clear(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    static const Signature signature = {"LRUCore.clear", NO_PARAMETERS, 0, 0};
    if (parse(&signature, args, count, names, NULL) < 0 || bury_dead(self) < 0) {
        return NULL;
    }
    Arrays arrays;
    PyObject *loading;
    if (take_all(self, &arrays, &loading) < 0) {
        return NULL;
    }
    PyObject *on_remove, *telling;
    Py_BEGIN_CRITICAL_SECTION(self);
    on_remove = Py_XNewRef(self->on_remove);
    telling = Py_XNewRef(self->telling);
    Py_END_CRITICAL_SECTION();
    int result = 0;
    PyObject *list = NULL;
    if (on_remove != NULL && telling != NULL) {
        list = list_taken(self, &arrays, self->state->cause_explicit);
        result = list == NULL ? -1 : 0;
    }
    arrays_release(&arrays);
    Py_XDECREF(loading);
    if (list != NULL && PyList_GET_SIZE(list) > 0) {
        result = tell_list(self, on_remove, telling, list);
    }
    Py_XDECREF(list);
    Py_XDECREF(on_remove);
    Py_XDECREF(telling);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

#endif
