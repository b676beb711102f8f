DROP TYPE points_refunded, points_awarded, points_verdict, points_fact, points_posted, points_posting;
