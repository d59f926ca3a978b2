"""Who may be sold what: registrations and licences, qualified customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from demo_group.families import FAMILIES, Product
from demo_group.world import World, social_credit_code

CITIES = ("北京", "上海", "广州", "武汉", "成都", "杭州", "南京", "西安", "沈阳", "长沙", "郑州", "济南")
FOREIGN = {
    "EU": ("Klinikum Freiburg", "CHU de Lyon", "Ospedale San Raffaele", "UMC Utrecht"),
    "US": ("Lakeside Medical Center", "St. Mary Hospital", "Northwest Surgical Supply"),
}

HOLDER = {"SUZ": "CN", "CTU": "CN2", "TUT": "DE"}
"""Site → the legal entity that holds its papers."""


async def licences(world: World, products: Sequence[Product]) -> None:
    """Registrations per family and market, and the sites' own licences."""
    authority = {"CN": ("NMPA", "NMPA_reg"), "EU": ("EU_NB", "CE_TD"), "US": ("FDA", "FDA_510k")}
    for family in FAMILIES:
        items = [product.item for product in products if product.family is family]
        for market in family.markets:
            office, kind = authority[market]
            years = 5 if market != "US" else 10
            issued = world.day(world.rng.randrange(400, 900))
            world.add(
                "registration",
                world.ago(375),
                to="active",
                within=2,
                number=world.number(f"{market}-REG-", 6),
                authority=office,
                kind=kind,
                holder=world.ids["legal_entity", HOLDER[family.site]],
                items=items,
                sites=[world.sites[family.site]],
                risk_classes=(family.classes[0],),
                issued_on=issued,
                expires_on=issued + timedelta(days=365 * years - 5),
                file=world.file("注册证.pdf"),
            )
    site_licences(world)


def site_licences(world: World) -> None:
    """What each site may make."""
    for code, entity in HOLDER.items():
        issued = world.day(700)
        chinese = code != "TUT"
        world.add(
            "registration",
            world.ago(376),
            to="active",
            within=2,
            number=world.number("MFG-", 6),
            authority="provincial_MPA" if chinese else "certification_body",
            kind="mfg_licence" if chinese else "ISO13485",
            holder=world.ids["legal_entity", entity],
            items=[],
            sites=[world.sites[code]],
            issued_on=issued,
            expires_on=issued + timedelta(days=1800),
            file=world.file("许可证.pdf"),
        )


async def customers(world: World) -> dict[str, list[UUID]]:
    """Qualified customers by market."""
    named = [
        (f"{city}{suffix}", "CN", kind)
        for city in CITIES
        for suffix, kind in (("第一人民医院", "hospital"), ("康达医疗器械有限公司", "distributor"))
    ]
    named += [(name, market, "hospital") for market, names in FOREIGN.items() for name in names]
    found: dict[str, list[UUID]] = {"CN": [], "EU": [], "US": []}
    for number, (name, market, kind) in enumerate(named):
        chinese = market == "CN"
        found[market].append(
            world.add(
                "customer",
                world.ago(370),
                to="qualified",
                within=5,
                name=name,
                kind=kind,
                market=market,
                uscc=social_credit_code(f"91110000MA0C{number:05d}") if chinese else None,
                licence_no=f"XZ{number:08d}" if chinese else None,
                licence_scope=("II", "III") if chinese else (),
                licence_expires=world.day(-600) if chinese else None,
                address=f"{name}收货处" if chinese else "Goods in",
                contact="李主任" if chinese else "Purchasing",
                phone="010-55550100",
            )
        )
    return found
