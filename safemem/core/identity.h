/* Identity containers as Python sees them: IdentityCore and IdentitySetCore over the table of owners.h, see _identity.py for what they do. */

#ifndef SAFEMEM_IDENTITY_H
#define SAFEMEM_IDENTITY_H

#include "args.h"
#include "owners.h"

static Py_ssize_t
owners_length(PyObject *op)
{
    Owners *self = (Owners *)op;
    owners_drain(self);
    Py_ssize_t count;
    Py_BEGIN_CRITICAL_SECTION(self); /* a table that is being rebuilt counts from nothing */
    count = (Py_ssize_t)self->count;
    Py_END_CRITICAL_SECTION();
    return count;
}

static int
owners_contains(PyObject *op, PyObject *owner)
{
    return owners_has((Owners *)op, owner);
}

static PyObject *
owners_subscript(PyObject *op, PyObject *owner)
{
    PyObject *value = owners_get((Owners *)op, owner);
    return LIKELY(value != NULL) ? value : raise_no_owner((Owners *)op, owner);
}

static int
owners_ass_subscript(PyObject *op, PyObject *owner, PyObject *value)
{
    PyObject *former;
    int status = 0;
    if (value != NULL) {
        status = owners_store((Owners *)op, owner, value, 1, &former);
    }
    else if (!owners_pull((Owners *)op, owner, &former)) {
        raise_no_owner((Owners *)op, owner);
        status = -1;
    }
    Py_XDECREF(former);
    return status < 0 ? -1 : 0;
}

static const char *const owners_names[] = {"owner", "default"};

static PyObject *
owners_get_or(PyObject *op, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    static const Signature signature = {"IdentityCore.get", owners_names, 1, 2};
    PyObject *in[2];
    if (parse(&signature, args, given, names, in) < 0) {
        return NULL;
    }
    PyObject *value = owners_get((Owners *)op, in[0]);
    return value != NULL ? value : Py_NewRef(in[1] == NULL ? Py_None : in[1]);
}

static PyObject *
owners_setdefault(PyObject *op, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    static const Signature signature = {"IdentityCore.setdefault", owners_names, 1, 2};
    PyObject *in[2], *former;
    if (parse(&signature, args, given, names, in) < 0) {
        return NULL;
    }
    PyObject *value = in[1] == NULL ? Py_None : in[1];
    int status = owners_store((Owners *)op, in[0], value, 0, &former);
    if (status < 0) {
        return NULL;
    }
    return status == 1 ? Py_NewRef(value) : former;
}

static PyObject *
owners_pop(PyObject *op, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    static const Signature signature = {"IdentityCore.pop", owners_names, 1, 2};
    PyObject *in[2], *value;
    if (parse(&signature, args, given, names, in) < 0) {
        return NULL;
    }
    if (owners_pull((Owners *)op, in[0], &value)) {
        return value;
    }
    Owners *self = (Owners *)op;
    return in[1] != NULL && in[1] != self->state->missing ? Py_NewRef(in[1]) : raise_no_owner(self, in[0]);
}

/* (owner, value) of the last owner, or None. */
static PyObject *
owners_pop_last(PyObject *op, PyObject *Py_UNUSED(none))
{
    PyObject *owner, *value;
    if (!owners_pull_last((Owners *)op, &owner, &value)) {
        Py_RETURN_NONE;
    }
    PyObject *pair = PyTuple_Pack(2, owner, value == NULL ? Py_None : value);
    Py_DECREF(owner);
    Py_XDECREF(value);
    return pair;
}

static PyObject *
owners_popitem(PyObject *op, PyObject *none)
{
    PyObject *pair = owners_pop_last(op, none);
    if (pair == Py_None) {
        const char *name = Py_TYPE(op)->tp_name, *dot = strrchr(name, '.');
        Py_DECREF(pair);
        PyErr_Format(PyExc_KeyError, "%s is empty", dot == NULL ? name : dot + 1);
        return NULL;
    }
    return pair;
}

static PyObject *
owners_add(PyObject *op, PyObject *owner)
{
    PyObject *former;
    int status = owners_store((Owners *)op, owner, NULL, 0, &former);
    Py_XDECREF(former);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
owners_discard(PyObject *op, PyObject *owner)
{
    PyObject *value;
    int found = owners_pull((Owners *)op, owner, &value);
    Py_XDECREF(value);
    return PyBool_FromLong(found);
}

/* Take the whole table away, then let go of it. */
static int
owners_clear_table(PyObject *op)
{
    Owners *self = (Owners *)op;
    Owned *entries;
    uint32_t *places;
    uint32_t used;
    Py_BEGIN_CRITICAL_SECTION(self);
    entries = self->entries;
    places = self->places;
    used = self->used;
    self->entries = NULL;
    self->places = NULL;
    self->capacity = self->used = self->filled = self->count = 0;
    Py_END_CRITICAL_SECTION();
    PyMem_Free(places);
    owned_release(entries, used);
    return 0;
}

static PyObject *
owners_clear(PyObject *op, PyObject *Py_UNUSED(none))
{
    owners_drain((Owners *)op);
    owners_clear_table(op);
    Py_RETURN_NONE;
}

static PyObject *
owners_list(PyObject *op, int pairs)
{
    uint32_t count;
    Owned *copies = owners_snapshot((Owners *)op, &count);
    PyObject *list = copies == NULL ? NULL : PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = pairs ? PyTuple_Pack(2, copies[i].ref, copies[i].value == NULL ? Py_None : copies[i].value) : Py_NewRef(copies[i].ref);
        if (item == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    if (copies != NULL) {
        owned_release(copies, count);
    }
    return list;
}

static PyObject *
owners_refs(PyObject *op, PyObject *Py_UNUSED(none))
{
    return owners_list(op, 0);
}

static PyObject *
owners_entries(PyObject *op, PyObject *Py_UNUSED(none))
{
    return owners_list(op, 1);
}

static PyObject *
owners_drain_now(PyObject *op, PyObject *Py_UNUSED(none))
{
    owners_drain((Owners *)op);
    Py_RETURN_NONE;
}

static PyObject *
owners_check(PyObject *op, PyObject *Py_UNUSED(none))
{
    Owners *self = (Owners *)op;
    const char *wrong = NULL;
    owners_drain(self);
    Py_BEGIN_CRITICAL_SECTION(self);
    uint32_t live = 0;
    for (uint32_t i = 0; i < self->used; i++) {
        Owned *entry = &self->entries[i];
        if (entry->owner == NULL) {
            continue;
        }
        live++;
        int64_t slot = owners_find(self, entry->owner);
        PyObject *object = ref_object(entry->ref);
        if (slot < 0 || self->places[slot] != i + 1) {
            wrong = "an entry is not where the index says";
        }
        if (object != Py_None && object != entry->owner) {
            wrong = "an entry is in the place of another object";
        }
    }
    if (live != self->count || self->used > self->capacity || self->filled > self->capacity) {
        wrong = "the entries are not as many as counted";
    }
    Py_END_CRITICAL_SECTION();
    if (wrong != NULL) {
        PyErr_SetString(PyExc_AssertionError, wrong);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
owners_sizeof(PyObject *op, PyObject *Py_UNUSED(none))
{
    Owners *self = (Owners *)op;
    size_t bytes = (size_t)Py_TYPE(op)->tp_basicsize;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->places != NULL) {
        bytes += ((size_t)self->mask + 1) * sizeof(uint32_t) + (size_t)self->capacity * sizeof(Owned);
    }
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSize_t(bytes);
}

/* -- making and freeing ----------------------------------------------------------------------------------------------------------------- */

static struct PyModuleDef native_module;

static PyObject *
owners_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(names))
{
    PyObject *module = PyType_GetModuleByDef(type, &native_module);
    if (module == NULL) {
        return NULL;
    }
    State *state = PyModule_GetState(module);
    if (state->mailbox_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        return NULL;
    }
    Mailbox *mailbox = (Mailbox *)mailbox_new(state);
    Owners *self = mailbox == NULL ? NULL : (Owners *)type->tp_alloc(type, 0); /* all zero */
    if (self == NULL) {
        Py_XDECREF(mailbox);
        return NULL;
    }
    self->mailbox = mailbox;
    self->seed = state->seed;
    self->state = state;
    self->module = Py_NewRef(module);
    return (PyObject *)self;
}

static int
owners_traverse(PyObject *op, visitproc visit, void *arg)
{
    Owners *self = (Owners *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->module);
    for (uint32_t i = 0; i < self->used; i++) {
        Py_VISIT(self->entries[i].ref);
        Py_VISIT(self->entries[i].value);
    }
    return 0;
}

static void
owners_dealloc(PyObject *op)
{
    Owners *self = (Owners *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, owners_dealloc)
    if (self->mailbox != NULL) {
        owners_clear_table(op);
        mailbox_close(self->mailbox);
    }
    Py_CLEAR(self->mailbox);
    Py_CLEAR(self->module);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMethodDef owners_set_methods[] = {
    {"clear", owners_clear, METH_NOARGS, "clear($self)\n--\n\nRemove all owners."},
    {"__sizeof__", owners_sizeof, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {"_add", owners_add, METH_O, NULL},
    {"_discard", owners_discard, METH_O, NULL},
    {"_pop_last", owners_pop_last, METH_NOARGS, NULL},
    {"_refs", owners_refs, METH_NOARGS, NULL},
    {"_entries", owners_entries, METH_NOARGS, NULL},
    {"_drain", owners_drain_now, METH_NOARGS, NULL},
    {"_check", owners_check, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define OWNERS_FAST(name, function, doc) {name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS, doc}

static PyMethodDef owners_methods[] = {
    OWNERS_FAST("get", owners_get_or, "get($self, owner, default=None)\n--\n\nReturn the value of `owner`, or `default`."),
    OWNERS_FAST("setdefault", owners_setdefault,
                "setdefault($self, owner, default=None)\n--\n\n"
                "Return the value of `owner`, or store `default` and return that; one atomic step."),
    OWNERS_FAST("pop", owners_pop,
                "pop($self, owner, default=...)\n--\n\n"
                "Remove `owner` and return its value, else `default` if given, else raise KeyError; one atomic step."),
    {"popitem", owners_popitem, METH_NOARGS,
     "popitem($self)\n--\n\nRemove and return the `(owner, value)` pair that came last; KeyError if there is none."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot owners_set_slots[] = {
    {Py_tp_doc, "Owners by identity, in the order in which they came."},
    {Py_tp_new, owners_new},
    {Py_tp_dealloc, owners_dealloc},
    {Py_tp_traverse, owners_traverse},
    {Py_tp_clear, owners_clear_table},
    {Py_tp_methods, owners_set_methods},
    {Py_mp_length, owners_length},
    {Py_sq_length, owners_length},
    {Py_sq_contains, owners_contains},
    {0, NULL},
};

static PyType_Slot owners_slots[] = {
    {Py_tp_doc, "Values by the identity of their owner."},
    {Py_tp_traverse, owners_traverse},
    {Py_tp_clear, owners_clear_table},
    {Py_tp_methods, owners_methods},
    {Py_mp_subscript, owners_subscript},
    {Py_mp_ass_subscript, owners_ass_subscript},
    {0, NULL},
};

#define OWNERS_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

static PyType_Spec owners_set_spec = {"safemem.core._native.IdentitySetCore", sizeof(Owners), 0, OWNERS_FLAGS, owners_set_slots};
static PyType_Spec owners_spec = {"safemem.core._native.IdentityCore", sizeof(Owners), 0, OWNERS_FLAGS | Py_TPFLAGS_MAPPING, owners_slots};

#endif
