/* The table: an index of hashes over an array of entries, and the order of use as links between the entries.

   * The first bits of an entry's mixed hash name its home in the index. The slot there, or the first free one after it, holds the number
     of the entry, in as many bits as a position has, and before it a tag: the last bits of the home and what comes after them in the hash.
     0 is a free slot. Deleting shifts back what follows; how far a slot is from home its tag says, unless some are `far` from theirs.
     At most half of the slots are taken, so there are more positions than entries.
   * An entry's number is its place in the array, from 1 on. What few caches need is in arrays beside: deadlines, weights.
   * The order of use is a ring: `head` is the coldest entry and the one before it the hottest. Making the coldest the hottest moves
     `head` and touches no link, which is what happens when an insertion evicts.

   Nothing in this file runs anybody's code: no comparison, no release of a reference, no allocation that the collector sees.
   References move in with an insertion and out with a removal; the caller lets go of them when the table is whole. */

#ifndef SAFEMEM_TABLE_H
#define SAFEMEM_TABLE_H

#include "state.h"

#define MOST_ENTRIES ((uint32_t)1 << 31)
#define FAILED UINT32_MAX  /* in place of an entry's number: an exception is set */
#define NOT_DUE UINT32_MAX /* in place of the next entry due: the entry waits in a heap */

typedef struct {
    PyObject *key; /* NULL: free */
    PyObject *value; /* the weak reference to it, if `weak` */
    uint32_t hash;
    uint32_t birth : 31; /* tells an entry from an earlier one in the same place */
    uint32_t weak : 1;   /* see weak.h */
    uint32_t prev;
    uint32_t next; /* of a free entry: the next free one */
} Entry;

/* When an entry expires, and its place in what waits for that, see due.h. */
typedef struct {
    union {
        double at;
        PyObject *object; /* if Core.objects */
    };
    uint32_t prev; /* in the ring of those due in order; else a place in the heap, or the last bits of a serial number */
    uint32_t next; /* 0: never due; NOT_DUE: in a heap */
} Timing;

/* What an entry costs a memory budget, and what all entries of its caches do, see account.h. */
typedef struct {
    int64_t bytes;
    double since; /* what the account's clock said when the entry was last used */
    float worth;  /* what it takes to make the entry again, for each byte of it */
    uint32_t uses;
} Charge;

typedef struct {
    PyObject_HEAD
    int64_t used;
    int64_t alarm; /* react() is called when more than this is used */
    double clock;
} Account;

typedef struct {
    PyObject_HEAD
    /* What a hit needs. */
    uint32_t *index;
    Entry *entries;
    uint64_t seed;
    uint64_t hits;
    uint32_t mask;
    uint32_t head;
    uint32_t count;
    uint8_t shift; /* 32 less the bits of a position */
    uint8_t cut;   /* the first bits of a hash, of which a tag has none */
    uint8_t near;  /* the bits of a home that a tag has */
    uint8_t far;   /* which do not always do */
    uint8_t timed;
    uint8_t simple; /* storing needs no look at the value nor at anything but the table */
    uint8_t objects; /* deadlines are Python objects, not doubles */
    uint8_t gc_keys; /* the collector has to look at some key */
    uint8_t gc_values;
    uint8_t weighs;
    uint8_t hooked;
    uint8_t watched;
    uint8_t weak;   /* entries may be held weakly, see weak.h */
    uint8_t strict; /* and a value that cannot be is refused */
    uint8_t accounted; /* a memory budget is charged for the entries, see account.h */
    Timing *timing;
    PyObject **now_slot; /* where the clock keeps what tells the time */
    PyObject *monotonic;
    /* What a store needs. */
    uint64_t version; /* changes when entries come, go or move, and with everything that a look-up or a queue relies on */
    uint64_t limit;   /* the most entries, if they are counted */
    uint64_t removed;
    uint64_t evictions;
    PyObject *on_remove; /* NULL: none */
    uint32_t capacity;
    uint32_t used; /* entries above were never used */
    uint32_t free; /* the first of the free entries below */
    uint32_t births;
    uint32_t due; /* the first of the ring of those due in order */
    uint32_t heap_count;
    uint32_t heap_capacity;
    uint32_t *heap;
    double step_seconds;
    int step_known;
    /* The rest. */
    uint64_t misses;
    uint64_t expirations;
    uint64_t loads;
    uint64_t load_failures;
    double load_seconds;
    uint64_t schedules;
    PyObject *object_heap; /* a list of (deadline, number of the schedule, number of the entry) */
    PyObject **weights;
    PyObject **refs; /* of entries held strongly that were held weakly before; NULL: none has been kept */
    PyObject *mailbox;
    uint64_t revived;
    uint64_t collections;
    uint32_t coldest; /* the coldest entry held strongly, 0: none */
    uint32_t strong;  /* how many there are */
    PyObject *size;    /* the sum of the weights, of entries held strongly; NULL: has to be added up */
    PyObject *maxsize; /* as it was given */
    PyObject *bound;   /* the same, of an exact type */
    PyObject *making_room;
    PyObject *telling;
    PyObject *loading;
    PyObject *clock; /* NULL: one over time.monotonic, not yet made */
    PyObject *step;
    PyObject *ttu;
    PyObject *module; /* which owns the state: the collector may take everything apart in any order */
    State *state;
    PyObject *weakrefs;
    Charge *charges; /* if accounted, one for each entry */
    Account *account;
    PyObject *measure;
    int64_t charged;
    int64_t own_bytes;
    double common_cost;
    uint64_t random;
} Core;

/* An index without entries, so that looking into an empty table needs no question. Never written to. */
static uint32_t no_slots[1];

static inline Timing *
timing_of(Core *self, uint32_t number)
{
    return &self->timing[number];
}

/* What an entry keeps alive, borrowed; NULL: nothing. */
static inline PyObject *
strong_value(const Entry *entry)
{
    return entry->weak ? NULL : entry->value;
}

/* Whether a place still holds the entry that was there before a call-out. */
static inline int
is_same(Core *self, uint32_t number, uint32_t birth)
{
    return number <= self->used && self->entries[number].key != NULL && self->entries[number].birth == birth;
}

/* -- the index ------------------------------------------------------------------------------------------------------------------ */

/* Where the search for a hash begins. */
static inline uint32_t
home_of(Core *self, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash >> self->shift);
}

static inline uint32_t
tag_of(Core *self, uint32_t hash)
{
    return (hash << self->cut) & ~self->mask;
}

/* How far from home a slot is that is taken. */
static inline uint32_t
way_home(Core *self, uint32_t place)
{
    uint32_t slot = self->index[place];
    if (UNLIKELY(self->far)) {
        return (place - home_of(self, self->entries[slot & self->mask].hash)) & self->mask;
    }
    return (place - (slot >> (32 - self->near))) & ((1U << self->near) - 1);
}

static inline void
index_add(Core *self, uint32_t hash, uint32_t number)
{
    uint32_t *index = self->index;
    uint32_t mask = self->mask;
    uint32_t home = home_of(self, hash), place = home;
    while (index[place] != 0) {
        place = (place + 1) & mask;
    }
    index[place] = tag_of(self, hash) | number;
    if (UNLIKELY(((place - home) & mask) >> self->near)) {
        self->far = 1;
    }
}

static inline void
index_drop(Core *self, uint32_t number)
{
    uint32_t *index = self->index;
    uint32_t mask = self->mask;
    uint32_t hole = home_of(self, self->entries[number].hash);
    while ((index[hole] & mask) != number) {
        hole = (hole + 1) & mask;
    }
    for (uint32_t place = (hole + 1) & mask; index[place] != 0; place = (place + 1) & mask) {
        if (way_home(self, place) >= ((place - hole) & mask)) {
            index[hole] = index[place];
            hole = place;
        }
    }
    index[hole] = 0;
}

/* How many bits a position must have in an index for so many entries. */
static uint8_t
position_bits(uint64_t count)
{
    uint8_t bits = 4;
    while (bits < 32 && ((uint64_t)1 << bits) < 2 * count) {
        bits++;
    }
    return bits;
}

/* Put another index in the place of the table's, one without entries; `no_slots` is of no bits. */
static void
index_set(Core *self, uint32_t *index, uint8_t bits)
{
    if (self->index != no_slots) {
        PyMem_Free(self->index);
    }
    self->index = index;
    self->mask = (uint32_t)(((uint64_t)1 << bits) - 1);
    self->shift = 32 - bits;
    self->near = bits < 6 ? bits : 6;
    self->cut = bits - self->near;
    self->far = bits + self->near > 32;
    self->version++;
}

/* Make the index large enough for `count` entries; -1 without memory, and then nothing has changed. */
static NOINLINE int
index_fit(Core *self, uint32_t count)
{
    uint8_t bits = position_bits(count);
    uint32_t *fresh = PyMem_Calloc((size_t)1 << bits, sizeof(uint32_t));
    if (fresh == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    index_set(self, fresh, bits);
    for (uint32_t number = 1; number <= self->used; number++) {
        if (self->entries[number].key != NULL) {
            index_add(self, self->entries[number].hash, number);
        }
    }
    return 0;
}

/* -- the order of use ------------------------------------------------------------------------------------------------------------ */

/* Make an entry the hottest. */
static inline void
promote(Core *self, uint32_t number)
{
    Entry *entries = self->entries;
    Entry *entry = &entries[number];
    uint32_t head = self->head;
    /* Both neighbours are only written to, and stores that wait for far memory one after the other hold up what comes next. */
    PREFETCH(&entries[entry->prev]);
    PREFETCH(&entries[entry->next]);
    if (number == head) {
        self->head = entry->next;
        return;
    }
    uint32_t tail = entries[head].prev;
    if (number == tail) {
        return;
    }
    uint32_t prev = entry->prev, next = entry->next;
    entries[prev].next = next;
    entries[next].prev = prev;
    entry->prev = tail;
    entry->next = head;
    entries[tail].next = number;
    entries[head].prev = number;
}

static inline void
order_add(Core *self, uint32_t number)
{
    Entry *entries = self->entries;
    uint32_t head = self->head;
    if (head == 0) {
        self->head = entries[number].prev = entries[number].next = number;
        return;
    }
    uint32_t tail = entries[head].prev;
    entries[number].prev = tail;
    entries[number].next = head;
    entries[tail].next = number;
    entries[head].prev = number;
}

static inline void
order_drop(Core *self, uint32_t number)
{
    Entry *entries = self->entries;
    uint32_t prev = entries[number].prev, next = entries[number].next;
    if (next == number) {
        self->head = 0;
        return;
    }
    entries[prev].next = next;
    entries[next].prev = prev;
    if (self->head == number) {
        self->head = next;
    }
}

/* -- room ------------------------------------------------------------------------------------------------------------------------ */

static int
array_fit(void **array, size_t count, size_t size)
{
    void *fresh = count > PY_SSIZE_T_MAX / size ? NULL : PyMem_Realloc(*array, count * size);
    if (fresh == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *array = fresh;
    return 0;
}

/* How many entries there should be room for if `capacity` do not do: an eighth more when many, never more than the bound. */
static uint32_t
next_capacity(Core *self, uint32_t capacity)
{
    uint64_t next = capacity < 8 ? 8 : capacity < 64 ? (uint64_t)capacity * 2 : (uint64_t)capacity + capacity / 8;
    if (!self->weighs && next > self->limit && capacity < self->limit) {
        next = self->limit;
    }
    return next > MOST_ENTRIES ? MOST_ENTRIES : (uint32_t)next;
}

static NOINLINE int
make_entries(Core *self)
{
    uint32_t capacity = next_capacity(self, self->capacity);
    if (capacity <= self->capacity) {
        PyErr_NoMemory();
        return -1;
    }
    size_t count = (size_t)capacity + 1;
    if (array_fit((void **)&self->entries, count, sizeof(Entry)) < 0) {
        return -1;
    }
    if (self->timed && array_fit((void **)&self->timing, count, sizeof(Timing)) < 0) {
        return -1;
    }
    if (self->weighs && array_fit((void **)&self->weights, count, sizeof(PyObject *)) < 0) {
        return -1;
    }
    if (self->refs != NULL && array_fit((void **)&self->refs, count, sizeof(PyObject *)) < 0) {
        return -1;
    }
    if (self->accounted && array_fit((void **)&self->charges, count, sizeof(Charge)) < 0) {
        return -1;
    }
    self->capacity = capacity;
    self->version++;
    return 0;
}

/* Make sure that one more entry can be added. */
static inline int
make_space(Core *self)
{
    if (UNLIKELY(self->free == 0 && self->used == self->capacity) && make_entries(self) < 0) {
        return -1;
    }
    if (UNLIKELY(2 * ((uint64_t)self->count + 1) > (uint64_t)self->mask + 1) && index_fit(self, self->count + 1) < 0) {
        return -1;
    }
    return 0;
}

/* -- entries --------------------------------------------------------------------------------------------------------------------- */

static inline void
note_tracked(Core *self, PyObject *key, PyObject *value)
{
    if (!self->gc_values && value != NULL && may_be_tracked(value)) {
        self->gc_values = 1;
    }
    if (key != NULL && !self->gc_keys && may_be_tracked(key)) {
        self->gc_keys = 1;
    }
}

/* Add an entry as the hottest, after make_space(). */
static inline uint32_t
entry_add(Core *self, PyObject *key, PyObject *value, uint32_t hash)
{
    uint32_t number = self->free;
    if (number != 0) {
        self->free = self->entries[number].next;
    }
    else {
        number = ++self->used;
    }
    Entry *entry = &self->entries[number];
    entry->key = Py_NewRef(key);
    entry->value = Py_NewRef(value);
    entry->hash = hash;
    entry->birth = ++self->births;
    entry->weak = 0;
    if (self->refs != NULL) {
        self->refs[number] = NULL;
    }
    note_tracked(self, key, value);
    order_add(self, number);
    index_add(self, hash, number);
    self->count++;
    self->version++;
    return number;
}

/* Take an entry out; its references are the caller's now. What waits for its deadline must have been told. */
static inline void
entry_drop(Core *self, uint32_t number)
{
    Entry *entry = &self->entries[number];
    index_drop(self, number);
    order_drop(self, number);
    entry->key = NULL;
    entry->value = NULL;
    entry->weak = 0;
    entry->next = self->free;
    self->free = number;
    self->count--;
    self->removed++;
    self->version++;
    if (self->count == 0) {
        self->used = self->free = 0;
        self->gc_keys = self->gc_values = 0;
    }
}

#endif
