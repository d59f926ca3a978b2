"""The way most Python teams would start: Strawberry types by hand over SQLAlchemy's ORM, with data loaders."""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy import ForeignKey, MetaData, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.scalars import ID


class Base(DeclarativeBase):
    metadata = MetaData()


class SupplierRow(Base):
    __tablename__ = "supplier"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    name: Mapped[str]


class ItemRow(Base):
    __tablename__ = "item"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    item_no: Mapped[str]
    name: Mapped[str]


class ItemLineRow(Base):
    __tablename__ = "item_line"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[UUID] = mapped_column(ForeignKey("item.id"))
    component: Mapped[UUID] = mapped_column(ForeignKey("item.id"))
    position: Mapped[int]
    qty: Mapped[Decimal]


class LotRow(Base):
    __tablename__ = "lot"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    row_version: Mapped[int]
    qty: Mapped[Decimal]
    cost: Mapped[Decimal]
    lot_no: Mapped[str]
    item: Mapped[UUID]
    supplier: Mapped[UUID]
    state: Mapped[str]
    mfg_on: Mapped[date]
    exp_on: Mapped[date]


class NonconformanceRow(Base):
    __tablename__ = "nonconformance"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    severity: Mapped[str]
    lot: Mapped[UUID]


engine = create_async_engine(
    os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=16
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


async def by_key(model: Any, keys: list[UUID]) -> list[Any]:
    async with sessions() as session:
        found = {row.id: row for row in await session.scalars(select(model).where(model.id.in_(keys)))}
    return [found.get(key) for key in keys]


async def grouped(model: Any, column: Any, order: Any, keys: list[UUID]) -> list[list[Any]]:
    groups: dict[UUID, list[Any]] = defaultdict(list)
    async with sessions() as session:
        for row in await session.scalars(select(model).where(column.in_(keys)).order_by(order)):
            groups[getattr(row, column.key)].append(row)
    return [groups[key] for key in keys]


def loaders() -> dict[str, DataLoader[UUID, Any]]:
    async def suppliers(keys: list[UUID]) -> list[Any]:
        return await by_key(SupplierRow, keys)

    async def items(keys: list[UUID]) -> list[Any]:
        return await by_key(ItemRow, keys)

    async def lines(keys: list[UUID]) -> list[Any]:
        return await grouped(ItemLineRow, ItemLineRow.owner, ItemLineRow.position, keys)

    async def nonconformances(keys: list[UUID]) -> list[Any]:
        return await grouped(NonconformanceRow, NonconformanceRow.lot, NonconformanceRow.code, keys)

    return {
        "suppliers": DataLoader(suppliers),
        "items": DataLoader(items),
        "lines": DataLoader(lines),
        "nonconformances": DataLoader(nonconformances),
    }


@strawberry.type
class Supplier:
    code: str
    name: str


@strawberry.type
class ItemLine:
    position: int
    qty: str
    component_id: strawberry.Private[UUID]

    @strawberry.field
    async def component(self, info: strawberry.Info) -> Annotated[Item, strawberry.lazy(__name__)]:
        row = await info.context["items"].load(self.component_id)
        return Item(key=row.id, item_no=row.item_no, name=row.name)


@strawberry.type
class Item:
    key: strawberry.Private[UUID]
    item_no: str
    name: str

    @strawberry.field
    async def lines(self, info: strawberry.Info) -> list[ItemLine]:
        rows = await info.context["lines"].load(self.key)
        return [ItemLine(position=row.position, qty=str(row.qty), component_id=row.component) for row in rows[:50]]


@strawberry.type
class Nonconformance:
    code: str
    severity: str


@strawberry.type
class Lot:
    id: ID
    lot_no: str
    state: str
    qty: str
    cost: str
    mfg_on: date
    exp_on: date
    row_version: int
    row: strawberry.Private[LotRow]

    @strawberry.field
    async def supplier(self, info: strawberry.Info) -> Supplier:
        row = await info.context["suppliers"].load(self.row.supplier)
        return Supplier(code=row.code, name=row.name)

    @strawberry.field
    async def item(self, info: strawberry.Info) -> Item:
        row = await info.context["items"].load(self.row.item)
        return Item(key=row.id, item_no=row.item_no, name=row.name)

    @strawberry.field
    async def nonconformances(self, info: strawberry.Info) -> list[Nonconformance]:
        rows = await info.context["nonconformances"].load(self.row.id)
        return [Nonconformance(code=row.code, severity=row.severity) for row in rows[:50]]


def lot(row: LotRow) -> Lot:
    return Lot(
        id=ID(str(row.id)),
        lot_no=row.lot_no,
        state=row.state,
        qty=str(row.qty),
        cost=str(row.cost),
        mfg_on=row.mfg_on,
        exp_on=row.exp_on,
        row_version=row.row_version,
        row=row,
    )


@strawberry.type
class Query:
    @strawberry.field
    async def lot(self, id: ID) -> Lot | None:
        async with sessions() as session:
            row = await session.get(LotRow, UUID(id))
        return lot(row) if row else None

    @strawberry.field
    async def lots(self, supplier: ID, first: int, state: str | None = None) -> list[Lot]:
        statement = (
            select(LotRow).where(LotRow.supplier == UUID(supplier)).order_by(LotRow.exp_on, LotRow.id).limit(first)
        )
        if state:
            statement = statement.where(LotRow.state == state)
        async with sessions() as session:
            return [lot(row) for row in await session.scalars(statement)]


class App(GraphQL[dict[str, Any], None]):
    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        return loaders()


app = App(strawberry.Schema(Query))
