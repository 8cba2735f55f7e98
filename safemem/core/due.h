/* Expiry: what to remove, and when. Whether an entry is alive is never asked here, its deadline says so.

   Deadlines that come in order, as those of a common time-to-live do, wait in a ring like that of the order of use. Others wait in a
   heap of entries' numbers, where every entry knows its place. Deadlines that are Python objects wait in a list kept by `heapq`,
   where an entry that has gone since, or has got another deadline, stays until its record comes up or the list is tidied. */

#ifndef SAFEMEM_DUE_H
#define SAFEMEM_DUE_H

#include "account.h"
#include "gone.h"
#include "moment.h"

/* -- the ring -------------------------------------------------------------------------------------------------------------------- */

static inline void
ring_add(Core *self, uint32_t number)
{
    Timing *timing = self->timing;
    uint32_t first = self->due;
    if (first == 0) {
        self->due = timing[number].prev = timing[number].next = number;
        return;
    }
    uint32_t last = timing[first].prev;
    timing[number].prev = last;
    timing[number].next = first;
    timing[last].next = number;
    timing[first].prev = number;
}

static inline void
ring_drop(Core *self, uint32_t number)
{
    Timing *timing = self->timing;
    uint32_t prev = timing[number].prev, next = timing[number].next;
    if (next == number) {
        self->due = 0;
        return;
    }
    timing[prev].next = next;
    timing[next].prev = prev;
    if (self->due == number) {
        self->due = next;
    }
}

/* -- the heap -------------------------------------------------------------------------------------------------------------------- */

static inline int
heap_before(Core *self, uint32_t one, uint32_t other)
{
    double left = self->timing[one].at, right = self->timing[other].at;
    return left < right || (left == right && self->entries[one].birth < self->entries[other].birth);
}

static inline void
heap_put(Core *self, uint32_t place, uint32_t number)
{
    self->heap[place] = number;
    self->timing[number].prev = place;
}

static void
heap_up(Core *self, uint32_t place, uint32_t number)
{
    while (place > 0) {
        uint32_t above = (place - 1) / 2;
        if (!heap_before(self, number, self->heap[above])) {
            break;
        }
        heap_put(self, place, self->heap[above]);
        place = above;
    }
    heap_put(self, place, number);
}

static void
heap_down(Core *self, uint32_t place, uint32_t number)
{
    uint64_t count = self->heap_count;
    for (;;) {
        uint64_t below = 2 * (uint64_t)place + 1;
        if (below >= count) {
            break;
        }
        if (below + 1 < count && heap_before(self, self->heap[below + 1], self->heap[below])) {
            below++;
        }
        if (!heap_before(self, self->heap[below], number)) {
            break;
        }
        heap_put(self, place, self->heap[below]);
        place = (uint32_t)below;
    }
    heap_put(self, place, number);
}

static void
heap_drop(Core *self, uint32_t number)
{
    uint32_t place = self->timing[number].prev;
    uint32_t last = self->heap[--self->heap_count];
    if (last == number) {
        return;
    }
    if (heap_before(self, last, number)) {
        heap_up(self, place, last);
    }
    else {
        heap_down(self, place, last);
    }
}

/* -- both ------------------------------------------------------------------------------------------------------------------------ */

/* Make sure that an entry with this deadline can be queued. */
static inline int
make_due_space(Core *self, double deadline)
{
    if (LIKELY(self->due == 0 || !(deadline < self->timing[self->timing[self->due].prev].at)) || self->heap_capacity >= self->capacity) {
        return 0;
    }
    if (array_fit((void **)&self->heap, self->capacity, sizeof(uint32_t)) < 0) {
        return -1;
    }
    self->heap_capacity = self->capacity;
    return 0;
}

/* Queue an entry whose deadline is a double, after make_due_space(). */
static inline void
due_add(Core *self, uint32_t number, double deadline)
{
    Timing *timing = timing_of(self, number);
    timing->at = deadline;
    if (deadline == Py_HUGE_VAL) {
        timing->prev = timing->next = 0;
    }
    else if (self->due == 0 || !(deadline < self->timing[self->timing[self->due].prev].at)) {
        ring_add(self, number);
    }
    else {
        timing->next = NOT_DUE;
        heap_up(self, self->heap_count++, number);
    }
}

/* Take an entry out of what waits; for one with an object, only its record's number tells that it does not wait any more. */
static inline void
due_drop(Core *self, uint32_t number)
{
    uint32_t next = self->timing[number].next;
    if (next == 0 || self->objects) {
        return;
    }
    if (LIKELY(next != NOT_DUE)) {
        ring_drop(self, number);
    }
    else {
        heap_drop(self, number);
    }
}

/* The entry that expires first, 0 if there is none; only where deadlines are doubles. */
static inline uint32_t
due_first(Core *self)
{
    uint32_t first = self->due;
    if (LIKELY(self->heap_count == 0)) {
        return first;
    }
    uint32_t top = self->heap[0];
    return first == 0 || self->timing[top].at < self->timing[first].at ? top : first;
}

/* -- removing -------------------------------------------------------------------------------------------------------------------- */

/* What the entries weigh without one that has left; NULL if it has to be added up anew. */
static void
size_drop(Core *self, PyObject *weight)
{
    PyObject *size = NULL;
    if ((self->weak ? self->strong : self->count) == 0) { /* starting from nothing again forgives what adding and subtracting floats has lost */
        size = Py_NewRef(self->state->zero);
    }
    else if (self->size != NULL) {
        size = PyNumber_Subtract(self->size, weight);
        if (size == NULL) {
            PyErr_Clear();
        }
    }
    Py_XSETREF(self->size, size);
}

/* What a weak cache hands over of an entry that goes: its value, or None with another cause if that has died. */
static PyObject *
take_object(Core *self, uint32_t number, PyObject **cause)
{
    PyObject *value = self->entries[number].value, *ref;
    if (self->entries[number].weak) {
        ref = value;
        value = referent(ref);
    }
    else {
        ref = take_ref(self, number);
        strong_leave(self, number);
    }
    Py_XDECREF(ref);
    if (value == NULL) {
        value = Py_NewRef(Py_None);
        *cause = self->state->cause_collected;
        self->collections++;
    }
    return value;
}

/* Move an entry from the table to the victims. 1 instead of 0: its value had died, and that is what is told. */
static int
take_entry(Core *self, uint32_t number, PyObject *cause, Gone *gone)
{
    if (gone_reserve(gone) < 0) {
        return -1;
    }
    PyObject *value = self->entries[number].value, *told = cause;
    int strong = !self->entries[number].weak;
    recount(self, number, -strong);
    if (UNLIKELY(self->weak)) {
        value = take_object(self, number, &told);
    }
    Victim *victim = gone_add(gone, self->entries[number].key, value, told);
    if (self->timed) {
        due_drop(self, number);
        if (self->objects) {
            victim->extra = self->timing[number].object;
        }
    }
    entry_drop(self, number);
    if (self->weighs) {
        PyObject *weight = self->weights[number];
        if (strong) {
            size_drop(self, weight);
        }
        Py_DECREF(weight); /* an int or a float */
    }
    return told != cause;
}

/* Remove an entry without remembering it, for want of memory: it is let go of at once and nobody is told. Runs anybody's code. */
static void
forget_entry(Core *self, uint32_t number)
{
    Gone single;
    gone_init(&single);
    take_entry(self, number, NULL, &single);
    gone_release(&single);
}

/* Remove the entry that a dead reference was of, if it still is. */
static void
bury(Core *self, uint32_t number, PyObject *ref, Gone *gone)
{
    if (number == 0 || number > self->used || !self->entries[number].weak || self->entries[number].value != ref || !is_dead(ref)) {
        return;
    }
    if (take_entry(self, number, self->state->cause_collected, gone) < 0) {
        PyErr_Clear();
        forget_entry(self, number);
    }
}

/* Remove every entry whose value has died, one letter or more having been lost. */
static void
bury_all(Core *self, Gone *gone)
{
    for (uint32_t number = 1; number <= self->used; number++) {
        if (!self->entries[number].weak) {
            continue;
        }
        PyObject *object = referent(self->entries[number].value);
        if (object == NULL) {
            bury(self, number, self->entries[number].value, gone);
        }
        else {
            Victim *victim = gone_reserve(gone) < 0 ? NULL : gone_add(gone, NULL, object, NULL); /* it may be the last reference by now */
            if (victim == NULL) {
                PyErr_Clear();
                Py_DECREF(object);
            }
        }
    }
}

/* What every operation on a weak cache does first: remove the entries whose values are known to have died. */
static NOINLINE void
read_mail(Core *self, Gone *gone)
{
    Mailbox *mailbox = (Mailbox *)self->mailbox;
    if (LOAD_RELAXED(&mailbox->lost)) {
        STORE_RELEASE(&mailbox->lost, 0);
        bury_all(self, gone);
    }
    Letter *letters = mailbox_take(mailbox);
    for (Letter *letter = letters; letter != NULL; letter = letter->next) {
        bury(self, (uint32_t)((PyWeakReference *)letter->ref)->hash, letter->ref, gone);
    }
    letters_release(letters);
}

/* -- deadlines that are objects -------------------------------------------------------------------------------------------------- */

/* The entry that a record is about, 0 if that has gone or has another deadline. */
static uint32_t
record_entry(Core *self, PyObject *record)
{
    unsigned long long schedule = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(record, 1));
    unsigned long number = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(record, 2));
    if (number == 0 || number > self->used || self->entries[number].key == NULL) {
        return 0;
    }
    Timing *timing = timing_of(self, (uint32_t)number);
    return timing->next == NOT_DUE && timing->prev == (uint32_t)schedule ? (uint32_t)number : 0;
}

/* Let go of the records of entries that went or got another deadline, if there are more of them than `spare`. Runs comparisons of
   deadlines, and where they change the table, another time will do. */
static int
tidy_records(Core *self, Py_ssize_t spare)
{
    if (!self->objects || PyList_GET_SIZE(self->object_heap) <= (Py_ssize_t)self->count + spare) {
        return 0;
    }
    PAUSE_COLLECTOR();
    PyObject *old = Py_NewRef(self->object_heap);
    PyObject *fresh = PyList_New(0);
    for (Py_ssize_t i = 0; fresh != NULL && i < PyList_GET_SIZE(old); i++) {
        PyObject *record = PyList_GET_ITEM(old, i);
        if (record_entry(self, record) != 0 && PyList_Append(fresh, record) < 0) {
            Py_CLEAR(fresh);
        }
    }
    RESUME_COLLECTOR();
    uint64_t version = self->version, schedules = self->schedules;
    PyObject *done = fresh == NULL ? NULL : PyObject_CallOneArg(self->state->heapify, fresh);
    if (done != NULL && self->version == version && self->schedules == schedules && self->objects && self->object_heap == old) {
        self->object_heap = Py_NewRef(fresh);
        self->version++;
        Py_DECREF(old);
    }
    Py_XDECREF(fresh);
    Py_DECREF(old);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Put a record back that was taken out of the heap for a comparison that failed: its entry must not wait for ever. */
static void
keep_record(PyObject *heap, PyObject *record)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    Py_ssize_t i = 0;
    while (i < PyList_GET_SIZE(heap) && PyList_GET_ITEM(heap, i) != record) {
        i++;
    }
    if (i == PyList_GET_SIZE(heap) && PyList_Append(heap, record) < 0) {
        PyErr_Clear();
    }
    PyErr_Restore(type, value, traceback);
}

/* Give the entry a deadline that is an object; runs comparisons of deadlines. The entry is taken out again if that fails. */
static int
due_add_object(Core *self, uint32_t number, uint32_t birth, PyObject *deadline, Gone *gone)
{
    State *state = self->state;
    Timing *timing = timing_of(self, number);
    timing->prev = timing->next = 0;
    if (deadline == state->never || (PyFloat_CheckExact(deadline) && PyFloat_AS_DOUBLE(deadline) == Py_HUGE_VAL)) {
        return 0;
    }
    uint64_t schedule = ++self->schedules;
    timing->prev = (uint32_t)schedule;
    timing->next = NOT_DUE;
    int result = -1;
    PyObject *heap = Py_NewRef(self->object_heap);
    PyObject *record = Py_BuildValue("(OKI)", deadline, (unsigned long long)schedule, (unsigned int)number);
    if (record != NULL) {
        PyObject *done = PyObject_CallFunctionObjArgs(state->heappush, heap, record, NULL);
        result = done == NULL ? -1 : 0;
        Py_XDECREF(done);
        Py_DECREF(record);
    }
    Py_DECREF(heap);
    if (result < 0 && is_same(self, number, birth) && self->objects && self->timing[number].prev == (uint32_t)schedule) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (take_entry(self, number, NULL, gone) < 0) {
            PyErr_Clear();
        }
        PyErr_Restore(type, value, traceback);
    }
    return result < 0 ? -1 : tidy_records(self, (Py_ssize_t)self->count + 64);
}

/* Remove what has expired at `now`; runs comparisons of deadlines, after each of which the table is looked at again. */
static int
expire_objects(Core *self, PyObject *now, PyObject *cause, Gone *gone)
{
    State *state = self->state;
    while (self->objects && PyList_GET_SIZE(self->object_heap) > 0) {
        PyObject *heap = Py_NewRef(self->object_heap);
        PyObject *record = Py_NewRef(PyList_GET_ITEM(heap, 0));
        int over = 1;
        if (record_entry(self, record) != 0) {
            int alive = PyObject_RichCompareBool(now, PyTuple_GET_ITEM(record, 0), Py_LT);
            over = alive < 0 ? -1 : !alive;
        }
        PyObject *popped = NULL;
        int result = over < 0 ? -1 : 0;
        if (over > 0 && self->objects && self->object_heap == heap && PyList_GET_SIZE(heap) > 0) {
            popped = PyObject_CallOneArg(state->heappop, heap);
            if (popped == NULL) {
                keep_record(heap, record);
                result = -1;
            }
            else if (popped != record) { /* changed by what the comparison called */
                PyObject *done = PyObject_CallFunctionObjArgs(state->heappush, heap, popped, NULL);
                if (done == NULL) {
                    keep_record(heap, popped);
                    result = -1;
                }
                Py_XDECREF(done);
            }
            else if (self->objects && self->object_heap == heap) {
                uint32_t number = record_entry(self, record);
                if (number != 0) {
                    int taken = take_entry(self, number, cause, gone);
                    self->expirations += taken == 0;
                    result = taken < 0 ? -1 : 0;
                }
            }
        }
        Py_XDECREF(popped);
        Py_DECREF(record);
        Py_DECREF(heap);
        if (result < 0) {
            return -1;
        }
        if (over == 0) {
            return 0;
        }
    }
    return 0;
}

/* Remove what has expired at `now`, which is of the table's kind. */
static NOINLINE int
expire_due(Core *self, Moment *now, Gone *gone)
{
    if (self->objects) {
        return expire_objects(self, now->object, self->state->cause_expired, gone);
    }
    for (uint32_t number = due_first(self); number != 0 && !(now->at < self->timing[number].at); number = due_first(self)) {
        int taken = take_entry(self, number, self->state->cause_expired, gone);
        if (taken < 0) {
            return -1;
        }
        self->expirations += taken == 0;
    }
    return 0;
}

/* What every write does first: remove what has expired, or died. */
static inline int
settle(Core *self, Moment *now, Gone *gone)
{
    if (UNLIKELY(self->weak) && has_mail(self)) {
        read_mail(self, gone);
    }
    if (!self->timed) {
        return 0;
    }
    if (LIKELY(!self->objects && now->object == NULL)) {
        uint32_t first = due_first(self);
        if (LIKELY(first == 0 || now->at < self->timing[first].at)) {
            return 0;
        }
        return expire_due(self, now, gone);
    }
    if (is_earliest(now)) {
        return 0;
    }
    if (moment_agree(self, now) < 0) {
        return -1;
    }
    return expire_due(self, now, gone);
}

#endif
