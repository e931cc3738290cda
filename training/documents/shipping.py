"""Papers that move goods: from the order to ship them to the declaration at the border."""

from __future__ import annotations

from .blocks import fields, form, maybe, party, say
from .fields import BUYER_PO, COMMON, ORDER_HEADINGS, PLACES, REFERENCES, SHIP_TO, TERMS
from .plan import Plan
from .tables import items, totals

_HEADS = "products|items|order details|details|product details|line items|articles|goods"

_SHIPPING_MARKS = fields("""
ship via|shipped via|shipper|shipper name|carrier|shipping company|freight forwarder|courier = {coined} \
  [Express|Freight|Logistics|Shipping|Parcel|Package|Couriers]
shipped date|ship date|date shipped|shipping date|dispatch date|to be shipped on|required ship date = {day}
shipping order no.|shipment id|shipment no.|shipping order|dispatch order no. = {docid}
ship name|ship to name|consignee name = {buyer}
shipping method|mode of shipment|shipping service|service = [air|road|sea|express|standard|ground|overnight|rail]
freight|freight cost|shipping cost|freight charge = {small}
tracking no.|tracking number|awb|waybill = {id}
picked by|packed by|released by|dispatcher = {me}
shipping instructions|handling instructions|special instructions = [keep dry|fragile|do not stack|deliver to rear \
  gate|call before delivery]
required date|requested arrival|deliver before = {later}
""")

SHIPPING_ORDER = Plan(
    "shipping order[|||s| {docid}| no. {docid}]|[dispatch|shipment|delivery dispatch|ship] order[| "
    "{docid}]|shipping [instructions|instruction|details]|order to ship|shipment details|warehouse dispatch order",
    (
        party(
            "ship to|ship to|consignee|deliver to|shipping details|shipping address",
            "ship|ship|ship to|consignee|shipping",
            "buyer",
            0.85,
        ),
        maybe(
            0.5, party("customer|ordered by|sold to|ship from|shipped from", "customer|client|ship from", "third", 0.7)
        ),
        maybe(0.4, party("shipper|carrier|shipper details", "shipper|carrier|shipping company", "seller", 0.8)),
        form(_SHIPPING_MARKS, COMMON + BUYER_PO + TERMS[:1] + SHIP_TO + PLACES, 3, 9, ORDER_HEADINGS),
    ),
    (
        say(
            """
        Please [ship|dispatch|forward|send] the [following |listed ][goods|items|products] [to the above address|as \
          instructed|by {later}][:|.]
        The [goods|items] below [are to be|must be] [shipped|collected|dispatched] [from {city} |]on {later} [by \
          {coined} Freight|via {coined} Express|].
        """,
            1,
            1,
            0.25,
            True,
        ),
        items("name quantity", "number sku unit price price total shipped weight", 1, 7, 0.95, _HEADS),
        totals("total|total price|total value|order total|goods value", 0.45),
        maybe(0.3, form(_SHIPPING_MARKS, (), 1, 3)),
        say(
            """
        [Pick|Pack] and [load|ship] [all items|the complete order] [together|in one consignment] [before {time}|by \
          {later}].
        Freight [prepaid|collect|to be charged to {buyer}|charges paid by the sender].
        [Carrier|The carrier|The shipper] will collect [at|from] {city} [on {later}|between {time} and {time}].
        [Send|Forward] the tracking number to {mail}[ after dispatch|].
        [The invoice is sent separately.|Enclose a copy of invoice {id}.|Obtain a signature on delivery.]
        """,
            1,
            2,
            0.35,
            True,
        ),
    ),
    services=False,
)

_DELIVERY_MARKS = fields("""
delivery note no.|delivery note|delivery docket|dn no.|delivery no.|delivery slip no = {docid}
delivery date|delivered on|date of delivery|date delivered = {date}
received by|goods received by|signature of recipient|customer signature|received in good order = \
  [____________|{you}|.............]
driver|delivered by|vehicle no.|driver name = {me}|{me}|{code}|{me}
received in good condition|goods checked|condition of goods = [yes|yes / no|signed {you}]|[yes|ok|signed \
  {you}]|[good|ok|undamaged|2 boxes damaged]
delivery time|time of arrival|arrived = {time}
""")

DELIVERY_NOTE = Plan(
    "[||goods ]delivery note[||| {docid}| no. {docid}]|delivery [docket|slip|receipt]|proof of delivery|dispatch "
    "note|goods delivered",
    (
        party("|||from|sender", "supplier|sender|", "seller", 0.65),
        party("deliver to|delivered to|delivery address|customer", "delivery|deliver to|customer", "buyer", 0.85),
        form(_DELIVERY_MARKS, COMMON + BUYER_PO + SHIP_TO[:2], 3, 8, ORDER_HEADINGS),
    ),
    (
        items(
            "name delivered",
            "number sku unit ordered backorder weight",
            1,
            7,
            0.95,
            "goods delivered|items|delivered items|contents",
        ),
        say(
            """
        [Goods|The above goods] received [complete and |]in good [condition|order]. [Signature|Signed|Name]: {they}
        [Please check|Check] the [goods|delivery] [on arrival|immediately] and report [damage|shortages|any \
          shortage] within {n} days.
        [Received by|Signature of recipient|Signed for by] [______________|{they}|................] [date|on] \
          [________|{date}]
        [The invoice will follow|Invoice follows|An invoice will be sent separately|Invoice {id} is enclosed].
        {digit} [items|articles|lines] [to follow|on back order|still outstanding] [and will be delivered by {later}|].
        Delivered [on|] {digit} pallet[s|] by [our own vehicle|{coined} Transport], driver {they}.
        [Empty pallets and crates to be returned.|Left with neighbour.|Delivered to reception.]
        """,
            1,
            3,
            0.75,
            True,
        ),
    ),
    services=False,
)

_PACKING_MARKS = fields("""
packing list no.|packing slip no|packing list|pack list # = {docid}
total cartons|no. of packages|number of packages|total packages|packages|boxes = {n}
gross weight|total gross weight|g.w. = {weight}
net weight|total net weight|n.w. = {weight}
marks and numbers|shipping marks|case marks|marks & nos = {code} {city} [1-{n}|no. 1/{n}]
total volume|measurement|cbm|cube = {decimal} [m3|cbm]
packed by|packer|packing date = {me}|{me}|{date}
""")

PACKING_LIST = Plan(
    "[|||export |detailed ]packing [list|list|slip|list][||| {docid}| no. {docid}]|[carton|container] "
    "contents|packing specification",
    (
        party("|||shipper|exporter|from", "exporter|shipper|", "seller", 0.65),
        party("consignee|ship to|to|deliver to", "consignee|ship to", "buyer", 0.75),
        form(_PACKING_MARKS, COMMON + BUYER_PO + TERMS[:1], 3, 8),
    ),
    (
        items(
            "carton name quantity",
            "weight weight dimensions sku unit number",
            1,
            7,
            0.95,
            "contents|packages|packing details",
        ),
        say(
            """
        [Total|Packed in] {n} [cartons|cases|boxes|pallets][,|:] [gross weight|g.w.] {weight}, [net weight|n.w.] \
          {weight}.
        [Please|Kindly] check the contents [of all cartons |]against this [packing list|list].
        [Packed|Contents checked] by {me}. [Carton {digit} contains the documents.|]
        Goods are packed [in export cartons|on euro pallets|in wooden cases|in fibre drums][ and shrink-wrapped|].
        [The commercial invoice is in carton {digit}.|No prices are shown; see invoice {id}.|Contents may be spread \
          over several boxes.]
        """,
            1,
            3,
            0.6,
            True,
        ),
    ),
    services=False,
)

_PORT = (
    "[Hamburg|Rotterdam|Shanghai|Ningbo|Felixstowe|Santos|Singapore|Los "
    "Angeles|Antwerp|Mumbai|Durban|Genoa|Busan|Le Havre]"
)

_LADING_MARKS = fields(f"""
b/l no.|bill of lading no.|bill of lading number|bl number = {{docid}}
vessel|ocean vessel|vessel / voyage|ship|vessel name = [MV|M/V|MS] {{coined}} [Star|Express|Bay|Spirit] \
  [V.{{nnn}}|{{nn}}W]
port of loading|loading port|pol = {_PORT}
port of discharge|discharge port|pod = {_PORT}
notify party|also notify|notify address = {{third}}
container no.|container / seal|container and seal no. = {{code}}{{nnnn}}{{digit}}, seal {{id}}
place of receipt|place of delivery|final destination = {{city}}
freight|freight charges|freight terms = freight [prepaid|collect|payable at destination]
no. of original bills|originals|number of originals = [three (3)|3/3|three|3]
carrier|ocean carrier|carrier's agent = {{coined}} [Line|Shipping Lines|Container Line]
""")

BILL_OF_LADING = Plan(
    "[|||ocean |through |straight |combined transport |non-negotiable ]bill of lading[||| {docid}| no. "
    "{docid}]|sea waybill|bill of lading for port to port shipment",
    (
        party("shipper|exporter|shipper/exporter", "shipper", "seller", 0.9),
        party("consignee|consigned to order of|consignee (to order)", "consignee", "buyer", 0.9),
        form(_LADING_MARKS, REFERENCES[1:4] + TERMS[:1], 4, 10),
    ),
    (
        items(
            "carton name weight",
            "quantity dimensions hscode unit",
            1,
            4,
            0.8,
            "particulars furnished by shipper|description of packages and goods",
        ),
        say(
            """
        [Shipped|Received] on board [in apparent good order and condition|the vessel named above] [on {date}|at """
            + _PORT
            + """].
        [Clean on board|Shipped on board] {date}. [Freight prepaid.|Freight collect.]
        In witness whereof the [carrier|master] has signed [three|two] original bills of lading, [one being \
          accomplished the others to stand void|all of this tenor and date].
        [Shipper's load, stow and count|Said to contain|STC] {nn} [packages|cartons|drums|pallets].
        The carrier [is not liable|shall not be liable] for [loss|delay|damage] [caused by inherent vice|beyond its \
          control].
        """,
            1,
            3,
            0.75,
            True,
        ),
    ),
    services=False,
)

_CUSTOMS_MARKS = fields("""
declaration no.|customs declaration no.|mrn|entry number|entry no. = {docid}
customs office|office of exit|port of entry|customs station = {city}
declarant|customs broker|declarant / representative|importer of record = {third}
customs value|declared value|statistical value|value for customs = {total}
import duty|duty|duty rate|duty payable|customs duty = [{pct}|{money}]
procedure code|regime|customs procedure = [4000|1000|4071|3151|IM 4|EX A]
country of origin|origin of goods|country of dispatch = {country}
eori no.|importer's tax no|trader id = {vatid}
type of goods|category of item|contents = [gift|merchandise|commercial sample|documents|returned goods]
""")

CUSTOMS = Plan(
    "customs [declaration|declaration|entry|form CN{nn}][|| {docid}]|[import|export] [declaration|entry "
    "summary]|single administrative document|declaration for customs",
    (
        party("exporter|sender|consignor|exporter / sender", "exporter|sender", "seller", 0.8),
        party("importer|consignee|addressee", "importer|consignee", "buyer", 0.8),
        form(_CUSTOMS_MARKS, REFERENCES[1:4] + TERMS[:1], 3, 9),
    ),
    (
        items(
            "name hscode origin", "quantity weight value unit", 1, 5, 0.85, "goods declared|items|particulars of goods"
        ),
        say(
            """
        I [hereby |]declare that the [particulars|information] given [in this declaration |]are [true|correct|true \
          and complete].
        [I certify that this item does not contain any dangerous article|The goods contain no prohibited articles] \
          [prohibited by postal or customs regulations|].
        [Duty|Customs duty] [assessed|payable]: {money}, [import VAT|VAT] {money}. [Released by customs on {date}.|]
        [Goods|The consignment] [released for free circulation|cleared|presented at {city}] on {date}.
        [The commercial invoice {id} is attached.|Certificate of origin attached.|See packing list for details.]
        """,
            1,
            3,
            0.7,
            True,
        ),
    ),
    services=False,
)

PLANS: dict[str, Plan] = {
    "shipping order": SHIPPING_ORDER,
    "delivery note": DELIVERY_NOTE,
    "packing list": PACKING_LIST,
    "bill of lading": BILL_OF_LADING,
    "customs declaration": CUSTOMS,
}
