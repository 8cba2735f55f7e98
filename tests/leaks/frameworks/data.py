"""Databases, numbers and pictures: each function does some work and lets go of all of it."""

from __future__ import annotations

import io
import sqlite3
import tempfile
from pathlib import Path

import alembic.command
import alembic.config
import matplotlib as mpl
import networkx as nx
import numpy as np
import pandas as pd
import peewee
import scipy.optimize
import scipy.sparse
import sqlalchemy as sa
import sympy
from PIL import Image, ImageDraw, ImageFilter
from sqlalchemy import orm

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

# -- databases --------------------------------------------------------------------------------------------------------------------------------


class Base(orm.DeclarativeBase):
    """Of the tables."""


class Author(Base):
    """One who writes."""

    __tablename__ = "author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    books: orm.Mapped[list[Book]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    """What is written."""

    __tablename__ = "book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


orm.configure_mappers()
engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False})
Base.metadata.create_all(engine)
Session = orm.sessionmaker(engine)
scoped = orm.scoped_session(Session)


def clean_sqlalchemy_orm() -> None:
    """Objects added, loaded in two ways, and deleted."""
    with Session.begin() as session:
        session.add(Author(name="Ann", books=[Book(title=f"b{number}") for number in range(5)]))
    with Session() as session:
        found = session.scalars(sa.select(Author).options(orm.selectinload(Author.books)).where(Author.name.like("A%"))).all()
        assert len(found[0].books) == 5
        assert found[0].books[0].author is found[0]
        session.delete(found[0])
        session.commit()


def clean_sqlalchemy_rollback() -> None:
    """A session that fails."""
    try:
        with Session.begin() as session:
            session.add(Author(name=None))
    except sa.exc.IntegrityError:
        pass


def clean_sqlalchemy_scoped() -> None:
    """The session of a thread, removed at the end."""
    scoped.add(Author(name="Bob"))
    scoped.flush()
    scoped.rollback()
    scoped.remove()


def clean_sqlalchemy_engine() -> None:
    """An engine made, used and disposed of; statements with ever new texts."""
    own = sa.create_engine("sqlite://")
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Integer))
    with own.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"a": number} for number in range(10)])
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 10
    own.dispose()


def clean_alembic() -> None:
    """Migrations of a database of its own."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "versions").mkdir()
        (directory / "env.py").write_text(
            "from alembic import context\nimport sqlalchemy as sa\n"
            "engine = sa.create_engine(context.config.get_main_option('sqlalchemy.url'))\n"
            "with engine.connect() as connection:\n    context.configure(connection=connection)\n"
            "    with context.begin_transaction():\n        context.run_migrations()\nengine.dispose()\n"
        )
        (directory / "versions" / "one.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\nrevision='1'\ndown_revision=None\n"
            "def upgrade():\n    op.create_table('t', sa.Column('a', sa.Integer))\ndef downgrade():\n    op.drop_table('t')\n"
        )
        config = alembic.config.Config(stdout=io.StringIO())
        config.set_main_option("script_location", name)
        config.set_main_option("sqlalchemy.url", f"sqlite:///{name}/db")
        alembic.command.upgrade(config, "head")
        alembic.command.downgrade(config, "base")


db = peewee.SqliteDatabase(":memory:")


class Person(peewee.Model):
    """A row of peewee."""

    name = peewee.CharField()

    class Meta:
        """Where it is."""

        database = db


def clean_peewee() -> None:
    """A connection, some rows."""
    with db.connection_context():
        db.create_tables([Person])
        Person.insert_many([{"name": str(number)} for number in range(20)]).execute()
        assert Person.select().where(Person.name < "5").count() > 3


def clean_sqlite() -> None:
    """A database with functions of ours and many cursors."""
    connection = sqlite3.connect(":memory:")
    connection.create_function("twice", 1, lambda x: 2 * x)
    connection.execute("create table t (a)")
    connection.executemany("insert into t values (?)", ((number,) for number in range(100)))
    assert connection.execute("select sum(twice(a)) from t").fetchone() == (9900,)
    connection.close()


# -- numbers ----------------------------------------------------------------------------------------------------------------------------------


def clean_numpy() -> None:
    """Linear algebra, views, random numbers, a memory map."""
    generator = np.random.default_rng(1)
    matrix = generator.normal(size=(200, 200))
    assert np.linalg.norm(np.linalg.inv(matrix) @ matrix - np.eye(200)) < 1e-6
    with tempfile.TemporaryDirectory() as directory:
        np.save(f"{directory}/a.npy", matrix)
        assert np.load(f"{directory}/a.npy", mmap_mode="r")[::10].sum() != 0


def clean_scipy() -> None:
    """A minimum and a sparse system."""
    assert scipy.optimize.minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, [0, 0]).success
    system = scipy.sparse.eye(50, format="csr") * 2
    assert scipy.sparse.linalg.spsolve(system, np.ones(50))[0] == 0.5


def clean_pandas() -> None:
    """Frames grouped, joined, written and read."""
    frame = pd.DataFrame({"a": range(500), "b": [f"k{number % 7}" for number in range(500)], "c": np.linspace(0, 1, 500)})
    grouped = frame.groupby("b").agg({"a": "sum", "c": "mean"}).reset_index()
    merged = frame.merge(grouped, on="b", suffixes=("", "_all"))
    text = merged.to_csv(index=False)
    back = pd.read_csv(io.StringIO(text))
    back["when"] = pd.date_range("2026-01-01", periods=len(back), freq="min")
    assert len(back.set_index("when").resample("1h").mean(numeric_only=True)) == 9


def clean_pyplot() -> None:
    """A figure shown to a file and closed."""
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(range(10), label="line")
    left.legend()
    right.imshow(np.zeros((5, 5)))
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)


def clean_figure() -> None:
    """A figure without pyplot."""
    figure = Figure()
    figure.add_subplot().scatter([1, 2], [3, 4])
    figure.savefig(io.BytesIO(), format="svg")


def clean_sympy() -> None:
    """Algebra with sympy, whose caches are bounded."""
    x = sympy.Symbol("x")
    assert sympy.integrate(sympy.sin(x) * x, (x, 0, sympy.pi)) == sympy.pi
    assert sympy.solve(x**2 - 4, x) == [-2, 2]


def clean_networkx() -> None:
    """Graphs made and measured."""
    graph = nx.gnp_random_graph(60, 0.1, seed=3)
    nx.pagerank(graph)
    assert nx.number_connected_components(graph) > 0


def clean_pillow() -> None:
    """A picture drawn, filtered, written and read."""
    with io.BytesIO() as file:
        with Image.new("RGB", (200, 100), "white") as picture:
            ImageDraw.Draw(picture).ellipse((10, 10, 90, 90), fill="red")
            picture.filter(ImageFilter.BLUR).save(file, "PNG")
        file.seek(0)
        with Image.open(file) as back:
            assert back.resize((20, 10)).size == (20, 10)
