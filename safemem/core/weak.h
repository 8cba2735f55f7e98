/* Weak caches: entries whose value the cache does not keep alive, and how it learns that one has died.

   An entry has its value, and holds that strongly, or it is `weak` and has a weak reference to it. There is one order of use over both.
   `coldest` is the coldest entry held strongly: the next to be let off when there are too many. When an entry held weakly is used and so
   held strongly again, its reference is kept in `refs`, which there is from the first such use on, for the time when it is let off again.

   The callback of all references of a cache is its mailbox. It is called when a value dies, wherever the interpreter is at that moment and
   in any thread, so it takes no lock and looks at nothing: it puts the dead reference on a stack. The next operation on the cache takes the
   stack and removes the entries whose reference it is. A reference carries the number of its entry in the place of the hash of its
   referent, which nobody asks for: it has a callback, so it is nobody else's. */

#ifndef SAFEMEM_WEAK_H
#define SAFEMEM_WEAK_H

#include "table.h"

typedef struct Letter {
    PyObject *ref;
    struct Letter *next;
} Letter;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Letter *letters; /* the newest first */
    int lost;        /* there was no memory for a letter: look at all entries */
    int closed;      /* nobody reads it any more */
} Mailbox;

/* -- the mailbox ------------------------------------------------------------------------------------------------------------------------ */

/* Take all letters out, the oldest first. */
static Letter *
mailbox_take(Mailbox *self)
{
    Letter *letter = SWAP(&self->letters, NULL), *oldest = NULL;
    while (letter != NULL) {
        Letter *next = letter->next;
        letter->next = oldest;
        oldest = letter;
        letter = next;
    }
    return oldest;
}

static void
letters_release(Letter *letter)
{
    while (letter != NULL) {
        Letter *next = letter->next;
        Py_DECREF(letter->ref);
        PyMem_RawFree(letter);
        letter = next;
    }
}

static PyObject *
mailbox_vectorcall(PyObject *op, PyObject *const *args, size_t flags, PyObject *Py_UNUSED(names))
{
    Mailbox *self = (Mailbox *)op;
    if (PyVectorcall_NARGS(flags) != 1) {
        PyErr_SetString(PyExc_TypeError, "a mailbox takes a dead reference");
        return NULL;
    }
    if (!PyWeakref_CheckRefExact(args[0])) {
        PyErr_Format(PyExc_TypeError, "a mailbox takes a dead reference, got %R", args[0]);
        return NULL;
    }
    if (LOAD_ACQUIRE(&self->closed)) {
        Py_RETURN_NONE;
    }
    Letter *letter = PyMem_RawMalloc(sizeof(Letter));
    if (letter == NULL) {
        STORE_RELEASE(&self->lost, 1);
        Py_RETURN_NONE;
    }
    letter->ref = Py_NewRef(args[0]);
    letter->next = LOAD_ACQUIRE(&self->letters);
    while (!COMPARE_AND_SWAP(&self->letters, &letter->next, letter)) {
    }
    if (LOAD_ACQUIRE(&self->closed)) { /* meanwhile, by another thread */
        letters_release(mailbox_take(self));
    }
    Py_RETURN_NONE;
}
/* Nobody will read it any more. A reference killed by the collector keeps its callback, the mailbox: letters left in it would keep it. */
static void
mailbox_close(Mailbox *self)
{
    STORE_RELEASE(&self->closed, 1);
    letters_release(mailbox_take(self));
}

static void
mailbox_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    letters_release(mailbox_take((Mailbox *)op));
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef mailbox_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Mailbox, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot mailbox_slots[] = {
    {Py_tp_doc, "Where the weak references of a cache report that they have died."},
    {Py_tp_dealloc, mailbox_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, mailbox_members},
    {0, NULL},
};

static PyType_Spec mailbox_spec = {
    "safemem.core._native.Mailbox",
    sizeof(Mailbox),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    mailbox_slots,
};

static PyObject *
mailbox_new(State *state)
{
    Mailbox *mailbox = PyObject_New(Mailbox, state->mailbox_type);
    if (mailbox != NULL) {
        mailbox->vectorcall = mailbox_vectorcall;
        mailbox->letters = NULL;
        mailbox->lost = 0;
        mailbox->closed = 0;
    }
    return (PyObject *)mailbox;
}

static inline int
has_mail(Core *self)
{
    Mailbox *mailbox = (Mailbox *)self->mailbox;
    return mailbox != NULL && (LOAD_ACQUIRE(&mailbox->letters) != NULL || LOAD_RELAXED(&mailbox->lost));
}

/* -- references --------------------------------------------------------------------------------------------------------------------------- */

/* What a reference leads to, a new reference; NULL if that has died. */
static inline PyObject *
referent(PyObject *ref)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *object = NULL;
    (void)PyWeakref_GetRef(ref, &object);
    return object;
#else
    PyObject *object = PyWeakref_GET_OBJECT(ref);
    return object == Py_None ? NULL : Py_NewRef(object);
#endif
}

/* Whether a reference is a dead one. Who has got hold of one that lives can hand it to the mailbox all the same. */
static inline int
is_dead(PyObject *ref)
{
    return LOAD_RELAXED(&((PyWeakReference *)ref)->wr_object) == Py_None;
}

static inline int
is_weakable(PyObject *value)
{
    return Py_TYPE(value)->tp_weaklistoffset != 0;
}

/* A weak reference that reports to the mailbox. The collector may run. */
static PyObject *
make_ref(Core *self, PyObject *value)
{
    if (self->mailbox == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the cache is being collected");
        return NULL;
    }
    PyObject *mailbox = Py_NewRef(self->mailbox);
    PyObject *ref = PyWeakref_NewRef(value, mailbox);
    Py_DECREF(mailbox);
    return ref;
}

/* Have an entry held weakly from now on, by a reference that is taken over; its value is the caller's. */
static inline void
hold_weakly(Core *self, uint32_t number, PyObject *ref)
{
    ((PyWeakReference *)ref)->hash = (Py_hash_t)number;
    self->entries[number].value = ref;
    self->entries[number].weak = 1;
}

/* Have an entry held strongly from now on, by a new reference to its value; what it had instead is the caller's. */
static inline void
hold_strongly(Core *self, uint32_t number, PyObject *value)
{
    self->entries[number].value = Py_NewRef(value);
    self->entries[number].weak = 0;
}

/* Keep a reference, which is taken over, for an entry that is held strongly now. */
static void
keep_ref(Core *self, uint32_t number, PyObject *ref)
{
    if (self->refs == NULL) {
        self->refs = PyMem_Calloc((size_t)self->capacity + 1, sizeof(PyObject *));
        if (self->refs == NULL) { /* another one can be made */
            Py_DECREF(ref);
            return;
        }
    }
    self->refs[number] = ref;
}

/* The reference kept for an entry, now the caller's, or NULL. To let go of it runs nobody's code. */
static inline PyObject *
take_ref(Core *self, uint32_t number)
{
    PyObject *ref = NULL;
    if (self->refs != NULL) {
        ref = self->refs[number];
        self->refs[number] = NULL;
    }
    return ref;
}

/* The value of an entry, a new reference; NULL if it is held weakly and has died. */
static inline PyObject *
entry_object(const Entry *entry)
{
    return UNLIKELY(entry->weak) ? referent(entry->value) : Py_NewRef(entry->value);
}

/* -- which entries are held strongly ------------------------------------------------------------------------------------------------------- */

/* The next entry held strongly, from one to the hottest; 0: none. Those passed over are let off already, and none is passed over twice
   before it is used again. */
static uint32_t
next_strong(Core *self, uint32_t number)
{
    for (number = self->entries[number].next; number != self->head; number = self->entries[number].next) {
        if (!self->entries[number].weak) {
            return number;
        }
    }
    return 0;
}

/* Before an entry held strongly leaves its place or is let off. */
static inline void
strong_leave(Core *self, uint32_t number)
{
    if (number == self->coldest) {
        self->coldest = next_strong(self, number);
    }
    self->strong--;
}

/* After an entry held strongly became the hottest. */
static inline void
strong_join(Core *self, uint32_t number)
{
    if (self->coldest == 0) {
        self->coldest = number;
    }
    self->strong++;
}

/* promote() for an entry of a weak cache. */
static inline void
weak_promote(Core *self, uint32_t number)
{
    int strong = !self->entries[number].weak;
    if (strong) {
        strong_leave(self, number);
    }
    promote(self, number);
    if (strong) {
        strong_join(self, number);
    }
}

#endif
