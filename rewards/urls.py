"""Where members find the pages of the portal."""

from django.urls import path

from rewards.portal import catalogue, coupons, details, orders, views
from rewards.portal.signing_in import SignIn, SignOut

urlpatterns = [
    path("", views.show_home, name="home"),
    path("sign-in/", SignIn.as_view(), name="sign_in"),
    path("sign-out/", SignOut.as_view(), name="sign_out"),
    path("card/", views.show_card, name="card"),
    path("history/", views.show_history, name="history"),
    path("history/<int:seq>/", views.explain_entry, name="entry"),
    path("history/lots/", views.show_lots, name="lots"),
    path("rewards/", catalogue.show_catalogue, name="catalogue"),
    path("rewards/<slug:code>/", catalogue.show_reward, name="reward"),
    path("rewards/<slug:code>/redeem/", catalogue.redeem, name="redeem"),
    path("orders/", orders.show_orders, name="orders"),
    path("orders/<uuid:key>/", orders.show_order, name="order"),
    path("orders/<uuid:key>/cancel/", orders.cancel_order, name="cancel_order"),
    path("orders/<uuid:key>/book/", orders.book_order, name="book_order"),
    path("coupons/", orders.show_coupons, name="coupons"),
    path("coupons/enter/", coupons.enter_code, name="enter_code"),
    path("coupons/<int:pk>/", orders.show_coupon, name="coupon"),
    path("spending/", views.show_spending, name="spending"),
    path("invite/", views.show_invite, name="invite"),
    path("invited/<slug:code>/", views.show_invitation, name="invitation"),
    path("profile/", details.show_profile, name="profile"),
    path("profile/language/", details.choose_language, name="choose_language"),
    path("profile/password/", details.change_password, name="change_password"),
]
