"""Fields that many business papers share; what sets a kind apart stands with the kind."""

from __future__ import annotations

from .blocks import fields

REFERENCES = fields("""
order id|order no.|order number|order no|order #|sales order|so number|order ref = {orderid}
our reference|our ref|our ref.|reference|ref|file ref = {id}
your reference|your ref|your ref.|customer reference|client ref = {id}
date|dated|document date|issued on|date of issue|issue date = {date}
order date|date of order|ordered on|date ordered = {earlier}
customer id|customer no.|customer number|account no|client id|customer code|debtor no = {code}
currency|cur. = {cur}
page|page no = 1[| of {digit}]
""")

PEOPLE = fields("""
employee|employee name|handled by|prepared by|issued by|clerk|your contact|processed by = {me}
salesperson|sales rep|account manager|sales representative|sold by = {me}
contact|contact person|contact name|attention|attn = {you}
contact title|position|job title = [sales|purchasing|accounting|marketing|office] \
  [manager|agent|representative|assistant]
phone|tel|telephone|phone number = {phone}
email|e-mail = {mail}
""")

BUYER_PO = fields("""
your order no.|your purchase order|customer po|po number|purchase order ref|your po|po ref.|p.o. no. = {orderid}
""")

TERMS = fields("""
delivery terms|incoterms|terms of delivery = [EXW|FOB|CIF|DAP|DDP|FCA|CPT] {town}
terms|payment terms|terms of payment = [net {nn}|{nn} days net|30 days|14 days net|2% 10, net 30|on receipt|end of \
  month]
project|cost centre|department|job no. = [{code}|{department}]
""")

PLACES = fields("""
customer|customer name|client|company|account name = {buyer}
city|town = {city}
country = {country}
region|state|area = {town}
postal code|zip|postcode = {nn}{nnn}
""")

SHIP_TO = fields("""
ship to|deliver to|delivery address|ship address|destination address = {address}
ship city|delivery city|town of delivery = {city}
ship country|country of destination|delivery country = {country}
ship name|recipient|receiver|deliver to = {buyer}
""")

COMMON = REFERENCES + PEOPLE
ORDER_HEADINGS = (
    "order details",
    "order information",
    "details",
    "order",
    "order data",
    "general",
    "header",
    "employee and order details",
)
