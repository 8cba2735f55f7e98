/* Storing: the change itself, for an item that is ready, and the bound after it. */

#ifndef SAFEMEM_STORE_H
#define SAFEMEM_STORE_H

#include "item.h"

/* -- bounds ------------------------------------------------------------------------------------------------------------------------ */

/* What the entries weigh, borrowed; adds it up if something had gone wrong with the sum. */
static PyObject *
total_weight(Core *self)
{
    if (self->size == NULL) {
        PyObject *sum = Py_NewRef(self->state->zero);
        for (uint32_t number = 1; sum != NULL && number <= self->used; number++) {
            if (strong_value(&self->entries[number]) != NULL) {
                Py_SETREF(sum, PyNumber_Add(sum, self->weights[number]));
            }
        }
        self->size = sum;
    }
    return self->size;
}

/* Whether there is more than the bound allows; -1 with an exception set. */
static int
is_over(Core *self)
{
    if (!self->weighs) {
        return (self->weak ? self->strong : self->count) > self->limit;
    }
    PyObject *size = total_weight(self);
    return size == NULL ? -1 : PyObject_RichCompareBool(size, self->bound, Py_GT);
}

/* A weak reference, in `ref`, to the value of an entry held strongly: 1; 0: there can be none; -1: the entry has changed meanwhile.
   Runs the collector. */
static int
provide_ref(Core *self, uint32_t number, PyObject **ref, Gone *gone)
{
    *ref = take_ref(self, number);
    if (*ref != NULL && !is_dead(*ref)) { /* the collector kills those to what somebody then brings back */
        return 1;
    }
    Py_XDECREF(*ref);
    uint32_t birth = self->entries[number].birth;
    PyObject *value = Py_NewRef(self->entries[number].value);
    *ref = is_weakable(value) ? make_ref(self, value) : NULL;
    int provided = *ref != NULL ? 1 : 0;
    PyErr_Clear();
    if (!is_same(self, number, birth) || self->entries[number].value != value) {
        Py_CLEAR(*ref);
        provided = -1;
    }
    if (provided < 0 && gone_reserve(gone) == 0) { /* it may be the last reference to the value */
        gone_add(gone, NULL, value, NULL);
    }
    else {
        PyErr_Clear();
        Py_DECREF(value);
    }
    return provided;
}

/* Hold an entry that is held strongly only weakly, or remove it if that cannot be. 0: something has changed it meanwhile. */
static int
let_off(Core *self, uint32_t number, PyObject *cause, Gone *gone)
{
    PyObject *ref;
    int provided = provide_ref(self, number, &ref, gone);
    if (provided < 0) {
        Py_XDECREF(ref);
        return 0; /* another try */
    }
    if (gone_reserve(gone) < 0) {
        Py_XDECREF(ref);
        return -1;
    }
    if (!provided) {
        self->evictions++;
        return take_entry(self, number, cause, gone) < 0 ? -1 : 1;
    }
    gone_add(gone, NULL, self->entries[number].value, NULL);
    recount(self, number, -1);
    strong_leave(self, number);
    hold_weakly(self, number, ref);
    if (self->weighs) {
        size_drop(self, self->weights[number]);
    }
    return 1;
}

/* Let entries off until the bound of those held strongly holds. */
static NOINLINE int
let_off_surplus(Core *self, Gone *gone)
{
    int over;
    while ((over = is_over(self)) > 0 && self->coldest != 0) {
        if (let_off(self, self->coldest, self->state->cause_size, gone) < 0) {
            PyErr_Clear();
            self->evictions++;
            forget_entry(self, self->coldest);
        }
    }
    return over < 0 ? -1 : 0;
}

/* Evict until the bound holds; not even a lack of memory keeps it from holding. */
static int
trim(Core *self, Gone *gone)
{
    int over;
    if (UNLIKELY(self->weak)) {
        return let_off_surplus(self, gone);
    }
    while ((over = is_over(self)) > 0 && self->head != 0) {
        self->evictions++;
        if (take_entry(self, self->head, self->state->cause_size, gone) < 0) {
            PyErr_Clear();
            forget_entry(self, self->head);
        }
    }
    return over < 0 ? -1 : 0;
}

/* -- the change --------------------------------------------------------------------------------------------------------------------- */

/* Change what the entries weigh for a value that takes the place of another; one that is held weakly does not count. */
static int
reweigh(Core *self, Item *item, uint32_t number)
{
    if (total_weight(self) == NULL) {
        return -1;
    }
    PyObject *less = self->entries[number].weak ? Py_NewRef(self->size) : PyNumber_Subtract(self->size, self->weights[number]);
    PyObject *size = less == NULL || item->ref != NULL ? Py_XNewRef(less) : PyNumber_Add(less, item->weight);
    Py_XDECREF(less);
    if (size == NULL) {
        return -1;
    }
    Py_SETREF(self->size, size);
    Py_SETREF(self->weights[number], Py_NewRef(item->weight));
    return 0;
}

/* Put a value in the place of that of a weak cache's entry, which becomes the hottest; return the old one as take_object() does. */
static PyObject *
exchange(Core *self, Item *item, uint32_t number, PyObject **cause)
{
    Entry *entry = &self->entries[number];
    PyObject *old = entry->value, *ref;
    if (entry->weak) {
        ref = old;
        old = referent(ref);
    }
    else {
        ref = take_ref(self, number);
        strong_leave(self, number);
    }
    if (item->ref != NULL) {
        hold_weakly(self, number, item->ref);
        item->ref = NULL;
    }
    else {
        hold_strongly(self, number, item->value);
    }
    if (ref != NULL && old == item->value && !entry->weak) {
        keep_ref(self, number, ref);
    }
    else {
        Py_XDECREF(ref);
    }
    promote(self, number);
    if (!entry->weak) {
        strong_join(self, number);
    }
    else if (self->weighs && self->strong == 0) {
        Py_XSETREF(self->size, Py_NewRef(self->state->zero));
    }
    if (old == NULL) {
        old = Py_NewRef(Py_None);
        *cause = self->state->cause_collected;
        self->collections++;
    }
    return old;
}

/* Replace the value of an entry; the old one goes to the victims. */
static int
replace(Core *self, Item *item, uint32_t number, Gone *gone)
{
    if (gone_reserve(gone) < 0 || (self->timed && !self->objects && make_due_space(self, item->deadline.at) < 0)) {
        return -1;
    }
    Entry *entry = &self->entries[number];
    if (self->weighs && reweigh(self, item, number) < 0) {
        return -1;
    }
    PyObject *old = entry->value, *cause = self->state->cause_replaced;
    int64_t counted = counted_bytes(self, number);
    if (UNLIKELY(self->weak)) {
        old = exchange(self, item, number, &cause);
    }
    else {
        entry->value = Py_NewRef(item->value);
        promote(self, number);
    }
    note_tracked(self, NULL, item->value);
    if (UNLIKELY(self->accounted)) {
        charge_entry(self, number, item->bytes, item->cost, item->measured, 0, counted);
    }
    Victim *victim;
    if ((old == item->value && cause == self->state->cause_replaced) || self->on_remove == NULL) {
        victim = gone_add(gone, NULL, old, NULL);
    }
    else {
        victim = gone_add(gone, Py_NewRef(entry->key), old, cause);
    }
    if (self->timed) {
        self->version++;
        due_drop(self, number);
        if (self->objects) {
            victim->extra = self->timing[number].object;
            self->timing[number].object = Py_NewRef(item->deadline.object);
            return due_add_object(self, number, entry->birth, item->deadline.object, gone);
        }
        due_add(self, number, item->deadline.at);
    }
    return 0;
}

/* Add an entry; the table may then hold more than the bound. */
static int
add(Core *self, Item *item, Gone *gone)
{
    if (make_space(self) < 0 || (self->timed && !self->objects && make_due_space(self, item->deadline.at) < 0)) {
        return -1;
    }
    PyObject *size = NULL;
    if (self->weighs) {
        size = total_weight(self) == NULL ? NULL : item->ref != NULL ? Py_NewRef(self->size) : PyNumber_Add(self->size, item->weight);
        if (size == NULL) {
            return -1;
        }
    }
    uint32_t number = entry_add(self, item->key, item->value, item->hash);
    if (item->ref != NULL) {
        Py_DECREF(item->value); /* the item has it still */
        hold_weakly(self, number, item->ref);
        item->ref = NULL;
    }
    else if (self->weak) {
        strong_join(self, number);
    }
    if (UNLIKELY(self->accounted)) {
        charge_entry(self, number, item->bytes, item->cost, item->measured, 1, 0);
    }
    if (self->weighs) {
        self->weights[number] = Py_NewRef(item->weight);
        Py_SETREF(self->size, size);
    }
    if (self->timed) {
        if (self->objects) {
            self->timing[number].object = Py_NewRef(item->deadline.object);
            return due_add_object(self, number, self->entries[number].birth, item->deadline.object, gone);
        }
        due_add(self, number, item->deadline.at);
    }
    return 0;
}

/* Put an entry in the place of the coldest one, where entries are only counted and deadlines are doubles. */
static inline int
add_and_evict(Core *self, Item *item, Gone *gone)
{
    if (UNLIKELY(gone_reserve(gone) < 0) || (self->timed && make_due_space(self, item->deadline.at) < 0)) {
        return -1;
    }
    uint32_t number = self->head;
    Entry *entry = &self->entries[number];
    gone_add(gone, entry->key, entry->value, self->state->cause_size);
    index_drop(self, number);
    if (self->timed) {
        due_drop(self, number);
    }
    entry->key = Py_NewRef(item->key);
    entry->value = Py_NewRef(item->value);
    entry->hash = item->hash;
    entry->birth = ++self->births;
    self->head = entry->next;
    note_tracked(self, item->key, item->value);
    index_add(self, item->hash, number);
    /* What the next eviction will need, which has not been looked at for the longest time. */
    Entry *next = &self->entries[self->head];
    PREFETCH(&self->index[home_of(self, next->hash)]);
    PREFETCH(next->key);
    self->version++;
    self->removed++;
    self->evictions++;
    if (self->timed) {
        due_add(self, number, item->deadline.at);
    }
    return 0;
}

/* What is being loaded, a new reference; NULL with an exception set once the collector has taken the cache apart. */
static PyObject *
loading_of(Core *self)
{
    if (self->loading == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the cache is being collected");
        return NULL;
    }
    return Py_NewRef(self->loading);
}

/* Take the token of a load that somebody else's change overtakes. Runs keys' code. */
static NOINLINE int
forget_load(Core *self, PyObject *key)
{
    PyObject *loading = Py_NewRef(self->loading);
    PyObject *popped = PyObject_CallMethodObjArgs(loading, self->state->str_pop, key, Py_None, NULL);
    Py_DECREF(loading);
    Py_XDECREF(popped);
    return popped == NULL ? -1 : 0;
}

static inline int
forget_any_load(Core *self, PyObject *key)
{
    return LIKELY(self->loading == NULL || PyDict_GET_SIZE(self->loading) == 0) ? 0 : forget_load(self, key);
}

/* Look at the mail, and at whether the cache has got a sense of time while the item was on its way: then it never expires. */
static void
catch_up(Core *self, Item *item, Gone *gone)
{
    if (has_mail(self)) {
        read_mail(self, gone);
    }
    if (self->timed && !item->timed) {
        item->timed = 1;
        item->now.at = -Py_HUGE_VAL;
        item->deadline.at = Py_HUGE_VAL;
    }
}

/* Bring the moments of an item to the table's kind and remove what has expired, until that and finding the key leave nothing to do:
   when this returns, nothing has run since the table was looked at. `alive`: whether the item's deadline is to come. */
static NOINLINE uint32_t
look_up_slowly(Core *self, Item *item, int *alive, Gone *gone)
{
    for (;;) {
        *alive = 1;
        if (UNLIKELY(self->weak)) {
            catch_up(self, item, gone);
        }
        if (self->timed) {
            if (settle(self, &item->now, gone) < 0 || deadline_agree(self, &item->deadline) < 0 || moment_agree(self, &item->now) < 0) {
                return FAILED;
            }
            *alive = comes_before(&item->now, &item->deadline);
            if (*alive < 0) {
                return FAILED;
            }
        }
        uint32_t number = find(self, item->key, item->hash);
        int agreed = !self->timed || ((item->now.object != NULL) == self->objects && (item->deadline.object != NULL) == self->objects);
        if (number == FAILED || agreed) {
            if (self->weighs && item->weight == NULL) { /* weighing began while the value was on its way */
                item->weight = Py_NewRef(self->state->one);
            }
            return number;
        }
    }
}

static NOINLINE int
store_slowly(Core *self, Item *item, Gone *gone)
{
    int alive;
    if (!self->weak && forget_any_load(self, item->key) < 0) { /* in a weak cache the load has to keep its value if this one has died by then */
        return -1;
    }
    uint32_t number = look_up_slowly(self, item, &alive, gone);
    if (number == FAILED) {
        return -1;
    }
    if (!alive) { /* what it would have replaced goes, and nothing comes */
        int taken = number == 0 ? 0 : take_entry(self, number, self->state->cause_replaced, gone);
        return taken < 0 || (self->weak && forget_any_load(self, item->key) < 0) ? -1 : 0;
    }
    if ((number != 0 ? replace(self, item, number, gone) : add(self, item, gone)) < 0) {
        return -1;
    }
    return trim(self, gone);
}

/* Store an item whose moments and weight are known. */
static inline int
store(Core *self, Item *item, Gone *gone)
{
    if (UNLIKELY(!self->simple)) {
        return store_slowly(self, item, gone);
    }
    if (self->timed) {
        if (UNLIKELY(self->objects || item->now.object != NULL || item->deadline.object != NULL || !(item->now.at < item->deadline.at))) {
            return store_slowly(self, item, gone);
        }
        if (settle(self, &item->now, gone) < 0) {
            return -1;
        }
    }
    uint32_t number = find(self, item->key, item->hash);
    if (UNLIKELY(number == FAILED)) {
        return -1;
    }
    if (UNLIKELY(!self->simple || self->objects)) {
        return store_slowly(self, item, gone);
    }
    if (number != 0) {
        return replace(self, item, number, gone);
    }
    if (self->count >= self->limit) {
        return add_and_evict(self, item, gone);
    }
    return add(self, item, gone);
}

/* Store an item unless its key is there; returns what is there then, a new reference. `token`: of a load, or NULL. */
static PyObject *
store_absent(Core *self, Item *item, PyObject *token, Gone *gone)
{
    int alive;
    if (token == NULL) {
        if (!self->weak && forget_any_load(self, item->key) < 0) {
            return NULL;
        }
    }
    else {
        PyObject *loading = loading_of(self);
        if (loading == NULL) {
            return NULL;
        }
        PyObject *current = PyDict_GetItemWithError(loading, item->key);
        int wanted = current == token;
        Py_DECREF(loading);
        if (!wanted) {
            if (PyErr_Occurred()) {
                return NULL;
            }
            uint32_t number = look_up_slowly(self, item, &alive, gone);
            if (number == FAILED) {
                return NULL;
            }
            PyObject *there = number == 0 ? NULL : entry_object(&self->entries[number]);
            return there != NULL ? there : Py_NewRef(item->value);
        }
    }
    uint32_t number = look_up_slowly(self, item, &alive, gone);
    if (number == FAILED) {
        return NULL;
    }
    if (number != 0) {
        PyObject *there = entry_object(&self->entries[number]);
        if (there != NULL) {
            return there;
        }
        if (take_entry(self, number, NULL, gone) < 0) { /* it has died this moment */
            return NULL;
        }
    }
    if (alive && (add(self, item, gone) < 0 || trim(self, gone) < 0)) {
        return NULL;
    }
    return Py_NewRef(item->value);
}

#endif
